//! Whole images into whole images.

use std::io::{self, Write};

use lazyoci::convert::RafsOptions;
use lazyoci::rafs_format::Version;
use lazyoci::store::{ImageStore as _, ImageStoreError, Layout, Location, Transport};
use lazyoci::transcode::{ImageFormat, TranscodeOptions, TranscodeReport, transcode};

use crate::args::{Args, Target, name};
use crate::common::progress::Bar;
use crate::common::{self, Failure, Outcome, whole};
use crate::options::{estargz_options, rafs_options, tar_options};

/// An image that is to be made of another one.
pub(crate) struct Whole {
    source: whole::Whole,
    target: Location,
}

impl Whole {
    /// What `args` ask for, if the output is the name of a whole image.
    pub(crate) fn of(args: &Args) -> Result<Option<Self>, Failure> {
        let Some(target) = whole::location(args.output()) else {
            return Ok(None);
        };
        let refused = |what: &str| Err(Failure::usage(what).of(args.output().display()));
        if (args.to, target.transport) == (Target::Nydus, Transport::DockerArchive) {
            let error = Failure::from(ImageStoreError::NydusInDockerArchive);
            return Err(error.of(args.output().display()));
        }
        if args.open.layer.is_some() {
            return refused("a whole image is made of all layers: --layer does not fit");
        }
        let [source] = args.images() else {
            return refused("a whole image is made of one whole image");
        };
        let Some(source) = whole::Whole::find(source, &args.open)? else {
            return refused("a whole image is made of a whole image, as in `oci:DIR:TAG`");
        };
        Ok(Some(Self { source, target }))
    }

    pub(crate) fn convert(self, args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let options = TranscodeOptions::new(format(args)?)
            .lenient(args.open.lenient())
            .as_layer(args.open.as_layer())
            .limits(args.open.limits());
        let name = self.target.name.as_deref();
        self.refuse_to_replace(args)?;
        let target = self.target.create()?;
        let (store, image) = (self.source.store(), self.source.image());
        let mut bar = Bar::new("converting");
        let report = transcode(image, store, &*target, name, &options, &mut bar)?;
        drop(bar);
        common::say(args.output(), out, |out| say(args, &report, out))?;
        Ok(Outcome::Done)
    }

    /// Refuses a name that is taken, and an archive that is there.
    fn refuse_to_replace(&self, args: &Args) -> Result<(), Failure> {
        let Self { target, .. } = self;
        if target.transport != Transport::Oci {
            return args.outputs.check(&target.path);
        }
        if args.outputs.replaces() || !target.path.exists() {
            return Ok(());
        }
        let Ok(layout) = Layout::open(&target.path) else {
            // Opening it to write says why not.
            return Ok(());
        };
        let mut images = layout.index().manifests.iter();
        let name = target.name.as_deref().unwrap_or_default();
        match images.any(|image| image.is_called(name)) {
            true => args.outputs.refuse(args.output()),
            false => Ok(()),
        }
    }
}

/// What to make, and how.
fn format(args: &Args) -> Result<ImageFormat, Failure> {
    Ok(match args.to {
        Target::Nydus => {
            let version = args.fs_version.unwrap_or(Version::V6);
            let options: RafsOptions = rafs_options(args, version)?;
            ImageFormat::Nydus(options)
        }
        Target::Estargz => ImageFormat::Estargz(estargz_options(args)?),
        Target::Oci => ImageFormat::Oci(tar_options(args)?),
        other => {
            let what = format!("{} is no format of whole images", name(other));
            return Err(Failure::usage(what).of(args.output().display()));
        }
    })
}

fn say(args: &Args, done: &TranscodeReport, out: &mut dyn Write) -> Result<(), Failure> {
    if args.json {
        let mut value = common::object(done)?;
        let image = args.images().first();
        value["image"] = image.map(|image| image.display().to_string()).into();
        value["format"] = name(args.to).into();
        value["output"] = args.output().display().to_string().into();
        return common::json(out, &value);
    }
    common::note_losses(&done.report);
    tell(args, done, out).map_err(Failure::usage)
}

fn tell(args: &Args, done: &TranscodeReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", args.output().display(), done.image.digest)?;
    for layer in &done.layers {
        let (digest, size) = (&layer.descriptor.digest, layer.descriptor.size);
        let origin = match (&layer.source, layer.repeated) {
            (Some(_), true) => ", as before".to_owned(),
            (Some(source), false) => format!(", of {source}"),
            (None, _) => String::new(),
        };
        writeln!(out, "layer {digest}, {}{origin}", common::size(size))?;
    }
    Ok(())
}

//! Whole images into whole images.

use std::io::{self, Write};
use std::sync::Arc;

use lazyoci::convert::RafsOptions;
use lazyoci::rafs_format::Version;
use lazyoci::store::{
    ImageStore, ImageStoreError, Layout, Location, ResolvedImages, Transport, resolve, resolve_all,
};
use lazyoci::transcode::{ImageFormat, TranscodeOptions, Transcoded, made_before, transcode};
use serde_json::Value;

use crate::args::{Args, Target, name};
use crate::common::progress::Bar;
use crate::common::{self, Failure, Outcome, whole};
use crate::options::{estargz_options, rafs_options, tar_options};

/// Images that are to be made of others.
pub(crate) struct Whole {
    store: Arc<dyn ImageStore>,
    images: ResolvedImages,
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
        let Some((location, store)) = whole::store(source, &args.open)? else {
            return refused("a whole image is made of a whole image, as in `oci:DIR:TAG`");
        };
        let name = location.name.as_deref();
        let images = match args.all_platforms {
            true => resolve_all(&*store, name),
            false => resolve(&*store, name, args.open.platform.as_ref()).map(Into::into),
        };
        Ok(Some(Self {
            images: images.map_err(|error| Failure::from(error).of(source.display()))?,
            store,
            target,
        }))
    }

    pub(crate) fn convert(self, args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let options = TranscodeOptions::new(format(args)?)
            .keep_original(args.keep_original)
            .lenient(args.open.lenient())
            .as_layer(args.open.as_layer())
            .limits(args.open.limits());
        let name = self.target.name.as_deref();
        // Archives are made anew.
        let layout = self.target.transport == Transport::Oci && self.target.path.exists();
        let before = match layout {
            true => made_before(&self.images, &*self.target.create()?, name, &options)?,
            false => None,
        };
        let done = match before {
            Some(before) => before,
            None => {
                self.refuse_to_replace(args)?;
                let target = self.target.create()?;
                let mut bar = Bar::new("converting");
                let (images, store) = (&self.images, &self.store);
                transcode(images, store, &*target, name, &options, &mut bar)?
            }
        };
        common::say(args.output(), out, |out| say(args, &done, out))?;
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

fn say(args: &Args, done: &Transcoded, out: &mut dyn Write) -> Result<(), Failure> {
    if args.json {
        return common::json(out, &json(args, done)?);
    }
    for image in &done.images {
        common::note_losses(&image.report);
    }
    tell(args, done, out).map_err(Failure::usage)
}

/// One image as it is reported, several as a list.
fn json(args: &Args, done: &Transcoded) -> Result<Value, Failure> {
    let mut value = match &done.images[..] {
        [image] => common::object(image)?,
        images => {
            let platforms = images.iter().map(|image| {
                let mut value = common::object(image)?;
                let platform = image.image.platform.as_ref();
                value["platform"] = platform.map(ToString::to_string).into();
                Ok(value)
            });
            let platforms = platforms.collect::<Result<Vec<_>, Failure>>()?;
            serde_json::json!({ "platforms": platforms })
        }
    };
    let image = args.images().first();
    value["image"] = image.map(|image| image.display().to_string()).into();
    value["format"] = name(args.to).into();
    value["output"] = args.output().display().to_string().into();
    value["published"] = done.published.digest.clone().into();
    value["made_before"] = done.made_before.into();
    let left_out = done.left_out.iter();
    value["left_out"] = left_out.map(|one| one.digest.clone()).collect();
    Ok(value)
}

fn tell(args: &Args, done: &Transcoded, out: &mut dyn Write) -> io::Result<()> {
    let before = match done.made_before {
        true => ", made before",
        false => "",
    };
    let output = args.output().display();
    writeln!(out, "{output}: {}{before}", done.published.digest)?;
    for image in &done.images {
        if image.image.digest != done.published.digest {
            let platform = image.image.platform.iter();
            let platform: String = platform.map(|platform| format!("{platform}: ")).collect();
            writeln!(out, "image {platform}{}", image.image.digest)?;
        }
        for layer in &image.layers {
            let (digest, size) = (&layer.descriptor.digest, layer.descriptor.size);
            let origin = match (&layer.source, layer.repeated) {
                (Some(_), true) => ", as before".to_owned(),
                (Some(source), false) => format!(", of {source}"),
                (None, _) => String::new(),
            };
            writeln!(out, "layer {digest}, {}{origin}", common::size(size))?;
        }
    }
    for one in &done.left_out {
        writeln!(out, "left out {}, {}", one.digest, one.media_type)?;
    }
    Ok(())
}

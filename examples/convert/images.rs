//! Whole images into whole images.

use std::io::{self, Write};

use lazyoci::blob_io::registry::Reference;
use lazyoci::convert::RafsOptions;
use lazyoci::rafs_format::Version;
use lazyoci::store::{
    ImageStore as _, ImageTarget, Layout, LayoutWriter, Location, PushStats, RegistryTarget,
    Transport,
};
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

/// Where an image goes.
enum Place {
    Layout(LayoutWriter),
    Registry(RegistryTarget),
}

impl Place {
    fn target(&self) -> &dyn ImageTarget {
        match self {
            Self::Layout(layout) => layout,
            Self::Registry(registry) => registry,
        }
    }

    /// What was sent, if it went to a registry.
    fn stats(&self) -> Option<PushStats> {
        match self {
            Self::Layout(_) => None,
            Self::Registry(registry) => Some(registry.stats()),
        }
    }
}

impl Whole {
    /// What `args` ask for, if the output is the name of a whole image.
    pub(crate) fn of(args: &Args) -> Result<Option<Self>, Failure> {
        let Some(target) = whole::location(args.output()) else {
            return Ok(None);
        };
        let refused = |what: &str| Err(Failure::usage(what).of(args.output().display()));
        if !matches!(target.transport, Transport::Oci | Transport::Docker) {
            return refused(
                "images are written to layouts and registries, as in `oci:DIR:TAG` or \
                 `docker://HOST/REPOSITORY:TAG`",
            );
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
        let (place, name) = match self.target.reference()? {
            Some(reference) => {
                let (registry, tag) = self.registry(args, &reference)?;
                (Place::Registry(registry), Some(tag))
            }
            None => {
                self.refuse_to_replace(args)?;
                let layout = LayoutWriter::open(&self.target.path)?;
                (Place::Layout(layout), self.target.name.clone())
            }
        };
        let (store, image) = (self.source.store(), self.source.image());
        let mut bar = Bar::new("converting");
        let (target, name) = (place.target(), name.as_deref());
        let report = transcode(image, store, target, name, &options, &mut bar)?;
        drop(bar);
        let stats = place.stats();
        common::say(args.output(), out, |out| say(args, &report, stats, out))?;
        Ok(Outcome::Done)
    }

    /// The repository that the image goes to, and its tag, unless that is taken.
    fn registry(
        &self,
        args: &Args,
        reference: &Reference,
    ) -> Result<(RegistryTarget, String), Failure> {
        if reference.digest().is_some() {
            let what = "what is written has a digest of its own: the name is a tag";
            return Err(Failure::usage(what).of(args.output().display()));
        }
        let (client, tag) = (args.open.registry.client(reference)?, reference.name());
        let repository = client.repository(reference)?;
        if !args.outputs.replaces() && repository.find_manifest(&tag)?.is_some() {
            args.outputs.refuse(args.output())?;
        }
        let target = RegistryTarget::new(repository);
        let from = self.source.reference();
        let from = from.filter(|from| from.host() == reference.host());
        Ok(match from {
            Some(from) => (target.mount_from(from.repository()), tag),
            None => (target, tag),
        })
    }

    /// Refuses a name that is taken.
    fn refuse_to_replace(&self, args: &Args) -> Result<(), Failure> {
        let Self { target, .. } = self;
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

fn say(
    args: &Args,
    done: &TranscodeReport,
    pushed: Option<PushStats>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        let mut value = common::object(done)?;
        let image = args.images().first();
        value["image"] = image.map(|image| image.display().to_string()).into();
        value["format"] = name(args.to).into();
        value["output"] = args.output().display().to_string().into();
        if let Some(pushed) = pushed {
            for (how, (objects, bytes)) in ways(&pushed) {
                value[format!("{how}_objects")] = objects.into();
                value[format!("{how}_bytes")] = bytes.into();
            }
        }
        return common::json(out, &value);
    }
    common::note_losses(&done.report);
    tell(args, done, pushed, out).map_err(Failure::usage)
}

/// How objects came to be in a registry, how many, and their bytes.
fn ways(pushed: &PushStats) -> [(&'static str, (u64, u64)); 3] {
    [
        ("uploaded", pushed.uploaded),
        ("mounted", pushed.mounted),
        ("present", pushed.there),
    ]
}

fn tell(
    args: &Args,
    done: &TranscodeReport,
    pushed: Option<PushStats>,
    out: &mut dyn Write,
) -> io::Result<()> {
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
    for (how, (objects, bytes)) in pushed.iter().flat_map(ways) {
        if objects > 0 {
            writeln!(out, "{how}: {objects} objects, {}", common::size(bytes))?;
        }
    }
    Ok(())
}

//! Whole images into whole images.

use std::io::{self, Write};
use std::sync::Arc;

use lazyoci::convert::{RafsOptions, Report};
use lazyoci::model::{Cancelled, Progress as _};
use lazyoci::rafs_format::Version;
use lazyoci::read::LayerImageOptions;
use lazyoci::store::toc_image::toc_image_name;
use lazyoci::store::{
    ImageStore, ImageStoreError, ImageTarget, Layout, Location, PushStats, RegistryStore,
    RegistryTarget, ResolvedImages, Transport, resolve, resolve_all,
};
use lazyoci::transcode::{
    ImageFormat, ImageProgress, KnownImages, LayersProgress, TranscodeOptions, Transcoded,
    made_before, transcode,
};
use serde_json::Value;

use crate::args::{Args, Target, name};
use crate::common::progress::Bar;
use crate::common::{self, Failure, Outcome, whole};
use crate::options::{estargz_options, policy, rafs_options, tar_options, zstd_chunked_options};
#[cfg(feature = "gzip-index")]
use crate::reference::zran_options;

/// Images that are to be made of others.
pub(crate) struct Whole {
    source: whole::Place,
    images: ResolvedImages,
    target: Location,
}

/// Where an image goes.
enum Place {
    Local(Box<dyn ImageTarget>),
    Registry(RegistryTarget),
}

impl Place {
    fn target(&self) -> &dyn ImageTarget {
        match self {
            Self::Local(place) => &**place,
            Self::Registry(registry) => registry,
        }
    }

    /// What was sent, if it went to a registry.
    fn stats(&self) -> Option<PushStats> {
        match self {
            Self::Local(_) => None,
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
        let nydus = matches!(
            args.to,
            Target::Nydus | Target::RafsV6Zran | Target::RafsV6EstargzRef
        );
        if nydus && target.transport == Transport::DockerArchive {
            let error = Failure::from(ImageStoreError::NydusInDockerArchive);
            return Err(error.of(args.output().display()));
        }
        let external = args.to == Target::EstargzExternalToc;
        if external && target.transport == Transport::DockerArchive {
            let error = Failure::from(ImageStoreError::TocsInDockerArchive);
            return Err(error.of(args.output().display()));
        }
        if args.open.layer.is_some() {
            return refused(
                "a whole image is converted with all its layers, so --layer cannot be given",
            );
        }
        let [source] = args.images() else {
            return refused("a whole image is converted from exactly one whole image");
        };
        let Some(place) = whole::place(source, &args.open)? else {
            return refused(
                "a whole image is converted from another, given as `oci:DIR:TAG` for example",
            );
        };
        if place.reference.is_none() && target.transport != Transport::Docker {
            args.open.registry.refuse(source)?;
        }
        let name = place.location.name.as_deref();
        let images = match args.all_platforms {
            true => resolve_all(&*place.store, name),
            false => resolve(&*place.store, name, args.open.platform.as_ref()).map(Into::into),
        };
        Ok(Some(Self {
            images: images.map_err(|error| Failure::from(error).of(source.display()))?,
            source: place,
            target,
        }))
    }

    pub(crate) fn convert(self, args: &Args, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let options = TranscodeOptions::new(format(args)?)
            .keep_original(args.keep_original)
            .known(known_images(args)?)
            .lenient(args.open.lenient())
            .as_layer(args.open.as_layer())
            .limits(args.open.limits());
        let (place, name) = self.place(args)?;
        let (images, name) = (&self.images, name.as_deref());
        // Asked before the next question, whose answer may be an image that appeared meanwhile.
        let taken = self.refuse_to_replace(args, place.as_ref());
        let before = match &place {
            Some(place) => made_before(images, place.target(), name, &options)?,
            None => None,
        };
        let (done, stats) = match (before, place) {
            (Some(before), place) => (before, place.and_then(|place| place.stats())),
            (None, place) => {
                taken?;
                let place = match place {
                    Some(place) => place,
                    None => Place::Local(self.target.create()?),
                };
                let mut bar = Layers(Bar::new("converting"));
                let (store, target) = (&self.source.store, place.target());
                let done = transcode(images, store, target, name, &options, &mut bar)?;
                (done, place.stats())
            }
        };
        common::say(args.output(), out, |out| say(args, &done, stats, out))?;
        Ok(Outcome::Done)
    }

    /// Where the images go, if something may be there already, and what they are called there.
    fn place(&self, args: &Args) -> Result<(Option<Place>, Option<String>), Failure> {
        let Some(reference) = self.target.reference()? else {
            // Archives are made anew.
            let layout = self.target.transport == Transport::Oci && self.target.path.exists();
            let place = layout.then(|| self.target.create()).transpose()?;
            return Ok((place.map(Place::Local), self.target.name.clone()));
        };
        if reference.digest().is_some() {
            let what = "the output needs a tag, not a digest: its digest is not known in advance";
            return Err(Failure::usage(what).of(args.output().display()));
        }
        let client = args.open.registry.client(&reference)?;
        let target = RegistryTarget::new(client.repository(&reference)?);
        let from = self.source.reference.as_ref();
        let target = match from.filter(|from| from.host() == reference.host()) {
            Some(from) => target.mount_from(from.repository()),
            None => target,
        };
        Ok((Some(Place::Registry(target)), Some(reference.name())))
    }

    /// Refuses a name that is taken, and an archive that is there.
    fn refuse_to_replace(&self, args: &Args, place: Option<&Place>) -> Result<(), Failure> {
        let Self { target, .. } = self;
        if matches!(
            target.transport,
            Transport::OciArchive | Transport::DockerArchive
        ) {
            return args.outputs.check(&target.path);
        }
        if args.outputs.replaces() {
            return Ok(());
        }
        let with_tocs = args.to == Target::EstargzExternalToc;
        let names = |name: &str| {
            [
                Some(name.to_owned()),
                with_tocs.then(|| toc_image_name(name)),
            ]
        };
        if let (Some(Place::Registry(registry)), Some(reference)) = (place, target.reference()?) {
            for name in names(&reference.name()).into_iter().flatten() {
                if registry.repository().find_manifest(&name)?.is_some() {
                    return args.outputs.refuse(args.output());
                }
            }
            return Ok(());
        }
        if !target.path.exists() {
            return Ok(());
        }
        let Ok(layout) = Layout::open(&target.path) else {
            // Opening it to write says why not.
            return Ok(());
        };
        let images = &layout.index().manifests;
        let name = target.name.as_deref().unwrap_or_default();
        let mut names = names(name).into_iter().flatten();
        match names.any(|name| images.iter().any(|image| image.is_called(&name))) {
            true => args.outputs.refuse(args.output()),
            false => Ok(()),
        }
    }
}

/// Shows how many layers are done, and the bytes of all.
struct Layers(Bar);

impl ImageProgress for Layers {
    fn advance_layers(&mut self, now: &LayersProgress<'_>) -> Result<(), Cancelled> {
        let done = now.layers.iter().filter(|layer| layer.done).count();
        let all = now.layers.len();
        self.0
            .label(format!("converting, {done} of {all} layers done"));
        self.0.advance(now.done, Some(now.total))
    }
}

/// The images and dictionary files of `--chunk-dict`.
fn known_images(args: &Args) -> Result<Option<KnownImages>, Failure> {
    let mut known = KnownImages::default().policy(policy(args));
    for name in &args.chunk_dict {
        let of = |error: Failure| error.of(name.display());
        if let Some(file) = common::dictionary::open(name)? {
            let added = known.add_file(file, |origin| origin_of_blobs(args, origin));
            known = added.map_err(of)?;
            continue;
        }
        let Some(place) = whole::place(name, &args.open)? else {
            let what = "a whole image can only share the chunks of whole images, given as `oci:DIR:TAG` for example, or of a dictionary file";
            return Err(of(Failure::usage(what)));
        };
        let tag = place.location.name.as_deref();
        let image = resolve(&*place.store, tag, args.open.platform.as_ref());
        let image = image.map_err(|error| of(error.into()))?;
        let added = known.add(&image, &place.store, &args.open.options());
        known = added.map_err(|error| of(error.into()))?;
    }
    Ok((!args.chunk_dict.is_empty()).then_some(known))
}

/// The place that has the blobs of a dictionary file, as it calls it.
fn origin_of_blobs(args: &Args, origin: &str) -> Result<Arc<dyn ImageStore>, Failure> {
    let of = |error: Failure| error.of(format_args!("`{origin}`"));
    let Some(location) = Location::parse(origin) else {
        let what = "the dictionary has blobs of this repository, which is no place such as `oci:DIR` or `docker://HOST/REPOSITORY`";
        return Err(of(Failure::usage(what)));
    };
    let reference = location.reference().map_err(|error| of(error.into()))?;
    let Some(reference) = reference else {
        let options = LayerImageOptions::default().limits(args.open.limits());
        return location.open(&options).map_err(|error| of(error.into()));
    };
    let client = args.open.registry.client(&reference).map_err(of)?;
    let repository = client.repository(&reference)?;
    Ok(Arc::new(RegistryStore::without_image(repository)))
}

/// What to make, and how.
fn format(args: &Args) -> Result<ImageFormat, Failure> {
    Ok(match args.to {
        Target::Nydus => {
            let version = args.fs_version.unwrap_or(Version::V6);
            let options: RafsOptions = rafs_options(args, version)?;
            ImageFormat::Nydus(options)
        }
        Target::Estargz | Target::EstargzExternalToc => {
            ImageFormat::Estargz(estargz_options(args)?)
        }
        Target::ZstdChunked => ImageFormat::ZstdChunked(zstd_chunked_options(args)?),
        #[cfg(feature = "gzip-index")]
        Target::RafsV6Zran | Target::RafsV6EstargzRef => ImageFormat::NydusZran(zran_options(args)),
        Target::Oci => ImageFormat::Oci(tar_options(args)?),
        other => {
            let what = format!("whole images cannot be converted to {}", name(other));
            return Err(Failure::usage(what).of(args.output().display()));
        }
    })
}

fn say(
    args: &Args,
    done: &Transcoded,
    pushed: Option<PushStats>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        let mut value = json(args, done)?;
        for (how, (objects, bytes)) in pushed.iter().flat_map(ways) {
            value[format!("{how}_objects")] = objects.into();
            value[format!("{how}_bytes")] = bytes.into();
        }
        return common::json(out, &value);
    }
    for image in &done.images {
        common::note_losses(&image.report);
    }
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
            let reports = images.iter().map(|image| image.report.clone());
            let mut value = common::object(&Report::sum(reports, &args.open.limits()))?;
            value["platforms"] = platforms.into();
            value
        }
    };
    let image = args.images().first();
    value["image"] = image.map(|image| image.display().to_string()).into();
    value["format"] = name(args.to).into();
    value["output"] = args.output().display().to_string().into();
    value["published"] = done.published.digest.clone().into();
    value["made_before"] = done.made_before.into();
    if let Some(tocs) = &done.toc_image {
        value["toc_image"] = tocs.digest.clone().into();
    }
    let left_out = done.left_out.iter();
    value["left_out"] = left_out.map(|one| one.digest.clone()).collect();
    Ok(value)
}

fn tell(
    args: &Args,
    done: &Transcoded,
    pushed: Option<PushStats>,
    out: &mut dyn Write,
) -> io::Result<()> {
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
    if let Some(tocs) = &done.toc_image {
        writeln!(out, "external TOCs {}", tocs.digest)?;
    }
    for one in &done.left_out {
        writeln!(out, "left out {}, {}", one.digest, one.media_type)?;
    }
    for (how, (objects, bytes)) in pushed.iter().flat_map(ways) {
        if objects > 0 {
            writeln!(out, "{how}: {objects} objects, {}", common::size(bytes))?;
        }
    }
    Ok(())
}

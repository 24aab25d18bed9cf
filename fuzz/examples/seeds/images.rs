//! Seeds that are whole images in archives.

use std::io::Write as _;

use lazyoci::model::{Metadata, Node};
use lazyoci::oci_image::{
    Descriptor, Family, Index, LayerCompression, LayerType, Manifest, MediaType,
};
use lazyoci::tar_stream::TarWriter;
use lazyoci::verify::sha256;

use super::{Result, Seeds, path};

/// An image of `layers` as an archive of a layout, and as one of Docker; and its documents.
pub(super) fn take_images(layers: &[(String, Vec<u8>)], seeds: &mut Seeds) -> Result<()> {
    let diff_ids: Vec<_> = (layers.iter())
        .map(|(_, tar)| format!("\"{}\"", sha256(tar)))
        .collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{{"created_by":"x","empty_layer":true}}]}}"#,
        diff_ids.join(",")
    );
    let mut layout = Archive::default();
    let media_type = MediaType::Layer(LayerType::oci(LayerCompression::None));
    let objects = layers.iter().map(|(_, tar)| layout.object(media_type, tar));
    let objects = objects.collect::<Result<Vec<_>>>()?;
    let described = layout.object(MediaType::Config(Family::Oci), config.as_bytes())?;
    let manifest = serde_json::to_vec(&Manifest::new(described, objects))?;
    let mut image = layout.object(MediaType::Manifest(Family::Oci), &manifest)?;
    image.platform = Some("linux/amd64".parse()?);
    image
        .annotations
        .set(lazyoci::oci_image::index::REF_NAME, "v1");
    let index = serde_json::to_vec(&Index::new(vec![image]))?;
    layout.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    layout.file("index.json", &index)?;

    let mut docker = Archive::default();
    for (name, tar) in layers {
        docker.file(&format!("{name}.tar"), tar)?;
    }
    docker.file("config.json", config.as_bytes())?;
    let names: Vec<_> = (layers.iter())
        .map(|(name, _)| format!("\"{name}.tar\""))
        .collect();
    let listed = format!(
        r#"[{{"Config":"config.json","RepoTags":["example.org/a:v1"],"Layers":[{}]}}]"#,
        names.join(",")
    );
    docker.file("manifest.json", listed.as_bytes())?;
    for (name, bytes) in [
        ("layout", layout.0.finish()?),
        ("docker", docker.0.finish()?),
        ("index", index),
        ("manifest", manifest),
        ("config", config.into_bytes()),
    ] {
        seeds.insert(("whole_image", name.into()), bytes);
    }
    Ok(())
}

/// A tar of files.
struct Archive(TarWriter<Vec<u8>>);

impl Default for Archive {
    fn default() -> Self {
        Self(TarWriter::new(Vec::new()))
    }
}

impl Archive {
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let size = u64::try_from(bytes.len())?;
        let node = Node::File { size, content: () };
        self.0.append(&path(name)?, &Metadata::default(), &node)?;
        Ok(self.0.write_all(bytes)?)
    }

    fn object(&mut self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
        let digest = sha256(bytes);
        self.file(&format!("blobs/sha256/{}", digest.hex()), bytes)?;
        Ok(Descriptor::new(
            media_type,
            &digest,
            bytes.len().try_into()?,
        ))
    }
}

//! Whole images in archives, and the documents that describe them.

use std::sync::Arc;

use lazyoci::bytes::Bytes;
use lazyoci::model::{Blame as _, Limits};
use lazyoci::oci_image::runtime::{Accounts, container_config};
use lazyoci::oci_image::{Document, ImageConfig, Platform};
use lazyoci::read::LayerImageOptions;
use lazyoci::store::{DockerArchive, ImageStore, Layout, resolve};
use lazyoci::verify::Profile;

use super::reading::open_options;

/// Takes the bytes as an archive of either kind, of which every image is opened, and as a document.
pub fn whole_image(data: &[u8]) {
    documents(data);
    let source: Arc<Bytes> = Arc::new(Bytes::copy_from_slice(data));
    let options = LayerImageOptions::default().limits(Limits::small());
    let layout = Layout::of_archive(source.clone(), "archive", &options);
    if let Ok(layout) = layout {
        images(&(Arc::new(layout) as Arc<dyn ImageStore>));
    }
    let archive = DockerArchive::of_source(source, "archive", &options);
    if let Ok(archive) = archive {
        images(&(Arc::new(archive) as Arc<dyn ImageStore>));
    }
}

/// Opens every image of a place, and each of its layers.
fn images(store: &Arc<dyn ImageStore>) {
    let names: Vec<_> = (store.index().manifests.iter())
        .map(|image| image.name().map(str::to_owned))
        .collect();
    for name in names.into_iter().chain([None]) {
        let image = match resolve(&**store, name.as_deref(), None) {
            Ok(image) => image,
            Err(error) => {
                let _ = (error.fault(), error.to_string());
                continue;
            }
        };
        let options = open_options(false, false);
        for layer in 0..image.manifest.layers.len() {
            let checked = image.check_layer(&**store, layer, &mut ());
            let opened = image.open_layer(&**store, layer, &options);
            let _ = (checked.is_ok(), opened.is_ok());
        }
        if let Ok(opened) = image.open(store, &options, &mut ()) {
            let _ = image.container_config(&opened).is_ok();
            let _ = opened.tree_digest(Profile::Default, &mut ());
        }
    }
}

/// What is read is written as it was.
fn documents(data: &[u8]) {
    let host = Platform::host();
    match Document::parse(data, None) {
        Ok(Document::Index(index)) => {
            let _ = index.select(&host);
            let written = serde_json::to_vec(&index).expect("it can be written");
            let Ok(Document::Index(again)) = Document::parse(&written, None) else {
                panic!("it was written by us")
            };
            assert_eq!(again.manifests.len(), index.manifests.len());
        }
        Ok(Document::Manifest(manifest)) => {
            let written = serde_json::to_vec(&manifest).expect("it can be written");
            let Ok(Document::Manifest(again)) = Document::parse(&written, None) else {
                panic!("it was written by us")
            };
            assert_eq!(again.layers.len(), manifest.layers.len());
            assert_eq!(again.config.digest, manifest.config.digest);
        }
        Err(error) => {
            let _ = (error.fault(), error.to_string());
        }
    }
    // Users and groups of a line, and the text that names them.
    let accounts = Accounts::new(data, data);
    for text in data.split(|&b| b == b'\n').take(8).flat_map(str::from_utf8) {
        if let Ok(user) = accounts.user(text) {
            assert_eq!(user.additional_gids.first(), Some(&user.gid));
        }
    }
    if let Ok(config) = ImageConfig::parse(data) {
        let _ = container_config(&config, &accounts).is_ok();
        let written = serde_json::to_vec(&config).expect("it can be written");
        let again = ImageConfig::parse(&written).expect("it was written by us");
        assert_eq!(again.rootfs, config.rootfs);
        assert_eq!(again.history.len(), config.history.len());
        assert!(config.platform().serves(&again.platform()));
    }
}

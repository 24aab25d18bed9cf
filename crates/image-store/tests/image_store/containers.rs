//! Configurations of containers.

use std::sync::Arc;

use image_model::{Blame as _, Fault, ImagePath, Metadata, Node};
use lazyoci_image_store::oci_image::runtime::RuntimeError;
use lazyoci_image_store::oci_image::serde_json::Value;
use lazyoci_image_store::oci_image::{Family, LayerCompression, LayerType, Manifest, MediaType};
use lazyoci_image_store::{ImageStore, ImageStoreError, Layout, resolve};
use tar_stream::TarWriter;

use crate::support::{Images, tar};

/// The configuration of a container that runs an image of `layer` as `user`.
fn container(layer: &[u8], user: &str) -> Result<Value, ImageStoreError> {
    let mut images = Images::new();
    let plain = MediaType::Layer(LayerType::oci(LayerCompression::None));
    let layer = images.object(plain, layer);
    let diff_id = &layer.digest;
    let config = format!(
        r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},"config":{{"User":"{user}"}}}}"#
    );
    let config = images.object(MediaType::Config(Family::Oci), config.as_bytes());
    let manifest = serde_json::to_vec(&Manifest::new(config, vec![layer])).unwrap();
    let image = images.object(MediaType::Manifest(Family::Oci), &manifest);
    images.name(image, "v1");
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(images.path()).unwrap());
    let image = resolve(&*store, None, None).unwrap();
    let opened = image.open(&store, &Default::default(), &mut ()).unwrap();
    image.container_config(&opened)
}

/// Links are resolved in the image, not on this machine.
#[test]
fn users_are_those_of_the_image() {
    let mut layer = TarWriter::new(Vec::new());
    let passwd = b"web:x:33:34::/srv:/bin/sh\n";
    let size = passwd.len() as u64;
    let file = Node::File { size, content: () };
    let link = Node::Symlink(b"/../../usr/lib/passwd"[..].into());
    for (path, node) in [("usr/lib/passwd", file), ("etc/passwd", link)] {
        let path = ImagePath::clean(path.as_bytes()).unwrap();
        layer.append(&path, &Metadata::default(), &node).unwrap();
        if let Node::File { .. } = node {
            std::io::Write::write_all(&mut layer, passwd).unwrap();
        }
    }
    let layer = layer.finish().unwrap();
    let made = container(&layer, "web").unwrap();
    let user = r#"{"uid":33,"gid":34,"additionalGids":[34]}"#;
    assert_eq!(made["process"]["user"].to_string(), user);
    let error = container(&layer, "web:web").unwrap_err();
    let ImageStoreError::Runtime(RuntimeError::NoGroup { name }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(name, "web");
}

#[test]
fn an_image_need_not_have_users() {
    for file in ["a", "etc"] {
        let made = container(&tar(&[(file, b"")]), "").unwrap();
        let user = r#"{"uid":0,"gid":0,"additionalGids":[0]}"#;
        assert_eq!(made["process"]["user"].to_string(), user);
    }
}

#[test]
fn users_that_cannot_be_read_are_refused() {
    let long = vec![b'\n'; (16 << 20) + 1];
    for (layer, fault) in [
        (tar(&[("etc/passwd/x", b"")]), Fault::Misuse),
        (tar(&[("etc/group", &long)]), Fault::Limit),
    ] {
        let error = container(&layer, "").unwrap_err();
        assert!(
            matches!(error, ImageStoreError::Accounts { .. }),
            "{error:?}"
        );
        assert_eq!(error.fault(), fault, "{error}");
    }
}

//! Descriptors of OCI manifests, and other short texts.

use lazyoci::frame_codec::Compression;
use lazyoci::model::{BlobId, Digest, ImagePath, NameRef};
use lazyoci::oci_image::{Annotations, Descriptor, EstargzLayer, NydusLayer};
use lazyoci::verify::TreeDigest;

/// Takes the bytes as a descriptor, as a path, and as a text of each kind: what is read is written as
/// it was.
pub fn descriptor(data: &[u8]) {
    path(data);
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(digest) = text.parse::<TreeDigest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(compression) = text.parse::<Compression>() {
        assert_eq!(compression.to_string().parse(), Ok(compression));
    }
    if let Ok(descriptor) = serde_json::from_str::<Descriptor>(text) {
        let _ = (descriptor.parse_media_type(), descriptor.parse_digest());
        let again = serde_json::to_string(&descriptor).expect("it can be written");
        let again: Descriptor = serde_json::from_str(&again).expect("it was written by us");
        assert_eq!(again.media_type, descriptor.media_type);
        assert_eq!(again.digest, descriptor.digest);
        assert_eq!(again.size, descriptor.size);
        assert_eq!(again.annotations, descriptor.annotations);
        // Fractions in fields that nobody knows may lose their last digit.
        assert!(again.rest.keys().eq(descriptor.rest.keys()));
        annotations(&descriptor.annotations);
    }
}

fn annotations(annotations: &Annotations) {
    if let Ok(Some(layer)) = EstargzLayer::read(annotations) {
        let mut written = Annotations::default();
        layer.write(&mut written);
        assert_eq!(EstargzLayer::read(&written), Ok(Some(layer)));
    }
    if let Ok(Some(layer)) = NydusLayer::read(annotations) {
        let mut written = Annotations::default();
        layer.write(&mut written);
        assert_eq!(NydusLayer::read(&written), Ok(Some(layer)));
    }
}

fn path(data: &[u8]) {
    if let Ok(path) = ImagePath::clean(data) {
        assert_eq!(ImagePath::clean(path.as_bytes()).as_ref(), Ok(&path));
        for name in path.components() {
            assert_eq!(NameRef::new(name.as_bytes()), Ok(name));
        }
        assert_eq!(path.depth(), path.components().count());
    }
    if let Ok(id) = BlobId::new(data) {
        assert_eq!(id.as_str().as_bytes(), data);
    }
}

//! Every type of the table, both ways.

use image_model::{Blame, Fault};
use lazyoci_oci_image::Family::{Docker, Oci};
use lazyoci_oci_image::LayerCompression::{Gzip, None, Zstd};
use lazyoci_oci_image::{LayerType, MediaType, UnknownMediaType};

#[test]
fn documents() {
    for (text, expected) in [
        (
            "application/vnd.oci.image.index.v1+json",
            MediaType::Index(Oci),
        ),
        (
            "application/vnd.docker.distribution.manifest.list.v2+json",
            MediaType::Index(Docker),
        ),
        (
            "application/vnd.oci.image.manifest.v1+json",
            MediaType::Manifest(Oci),
        ),
        (
            "application/vnd.docker.distribution.manifest.v2+json",
            MediaType::Manifest(Docker),
        ),
        (
            "application/vnd.oci.image.config.v1+json",
            MediaType::Config(Oci),
        ),
        (
            "application/vnd.docker.container.image.v1+json",
            MediaType::Config(Docker),
        ),
        (
            "application/vnd.oci.image.layer.nydus.blob.v1",
            MediaType::NydusBlob,
        ),
        ("application/vnd.erofs.layer.v1", MediaType::ErofsLayer),
        ("application/vnd.erofs", MediaType::Erofs),
        ("application/vnd.oci.empty.v1+json", MediaType::Empty),
        (
            "application/vnd.oci.layout.header.v1+json",
            MediaType::LayoutHeader,
        ),
    ] {
        assert_eq!(text.parse(), Ok(expected));
        assert_eq!(expected.to_string(), text);
    }
}

#[test]
fn layers() {
    let (oci, docker) = (
        "application/vnd.oci.image.layer",
        "application/vnd.docker.image.rootfs",
    );
    for (text, family, compression, distributable) in [
        (format!("{oci}.v1.tar"), Oci, None, true),
        (format!("{oci}.v1.tar+gzip"), Oci, Gzip, true),
        (format!("{oci}.v1.tar+zstd"), Oci, Zstd, true),
        (format!("{oci}.nondistributable.v1.tar"), Oci, None, false),
        (
            format!("{oci}.nondistributable.v1.tar+gzip"),
            Oci,
            Gzip,
            false,
        ),
        (
            format!("{oci}.nondistributable.v1.tar+zstd"),
            Oci,
            Zstd,
            false,
        ),
        (format!("{docker}.diff.tar"), Docker, None, true),
        (format!("{docker}.diff.tar.gzip"), Docker, Gzip, true),
        (format!("{docker}.diff.tar.zstd"), Docker, Zstd, true),
        (format!("{docker}.foreign.diff.tar"), Docker, None, false),
        (
            format!("{docker}.foreign.diff.tar.gzip"),
            Docker,
            Gzip,
            false,
        ),
    ] {
        let layer = LayerType::new(family, compression, distributable).unwrap();
        assert_eq!(text.parse(), Ok(MediaType::Layer(layer)));
        assert_eq!(MediaType::Layer(layer).to_string(), text);
        assert_eq!(layer.family(), family);
        assert_eq!(layer.compression(), compression);
        assert_eq!(layer.distributable(), distributable);
        assert!(!layer.encrypted());

        let text = format!("{text}+encrypted");
        let Ok(MediaType::Layer(encrypted)) = text.parse() else {
            panic!("{text} is a layer");
        };
        assert!(encrypted.encrypted());
        assert_eq!(encrypted.compression(), compression);
        assert_eq!(encrypted.to_string(), text);
    }
}

#[test]
fn only_types_that_exist_can_be_made() {
    assert_eq!(LayerType::new(Docker, Zstd, false), Option::None);
    let foreign = LayerType::new(Docker, Gzip, false).unwrap();
    assert_eq!(foreign.with_compression(Zstd), Option::None);
    assert_eq!(
        foreign.to_oci().with_compression(Zstd),
        LayerType::new(Oci, Zstd, false)
    );
}

#[test]
fn compression_and_family_change_apart_from_the_rest() {
    let Ok(MediaType::Layer(layer)) =
        "application/vnd.docker.image.rootfs.diff.tar+encrypted".parse()
    else {
        panic!("it is a layer");
    };
    let gzip = layer.with_compression(Gzip).unwrap().to_oci();
    assert_eq!(
        gzip.to_string(),
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"
    );
}

#[test]
fn other_types_are_unknown() {
    for text in [
        "",
        "application/vnd.oci.image.layer.v1.tar+GZIP",
        "application/vnd.oci.image.layer.v1.tar+gzip ",
        "application/vnd.oci.image.layer.v1.tar.gzip",
        "application/vnd.oci.image.config.v1+json+encrypted",
        "application/vnd.oci.image.layer.v1.tar+encrypted+encrypted",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
        "application/vnd.docker.distribution.manifest.v1+json",
    ] {
        let error = text.parse::<MediaType>().unwrap_err();
        assert_eq!(error, UnknownMediaType { text: text.into() });
        assert_eq!(error.fault(), Fault::Unsupported);
    }
}

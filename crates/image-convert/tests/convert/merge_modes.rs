//! Bootstraps of layers in all modes, merged: only their blobs know where their chunks are stored.

use std::sync::Arc;

use blob_io::{MemoryOutput, ObjectRole, Output as _, Written};
use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use image_model::Limits;
use image_read::{OpenImage, VerifyOptions, open_source, verify_image};
use lazyoci_image_convert::{RafsOptions, Streaming, ZranOptions, to_rafs, to_zran};
use rafs_format::Bootstrap;
use rafs_format::merge::{Merge, MergeError, MergeOptions};
use verify::Profile;

use crate::support::{Tar, digest_of_tar, noise, plain_options};

/// The same for all: nothing is merged with another one.
const CHUNK_SIZE: u32 = 1 << 16;

/// Layers that were made, and their blobs.
#[derive(Default)]
struct Made {
    bootstraps: Vec<Bytes>,
    blobs: MemoryOutput,
}

impl Made {
    fn add(&mut self, output: &MemoryOutput) {
        for object in output.objects() {
            match object.role {
                ObjectRole::Bootstrap => self.bootstraps.push(object.bytes.clone()),
                _ => put(&mut self.blobs, &object.bytes),
            }
        }
    }

    /// A layer that stays as it is.
    fn kept(&mut self, layer: &[u8]) {
        let mut output = MemoryOutput::default();
        let options = ZranOptions::default().chunk_size(CHUNK_SIZE);
        to_zran(Streaming::new(layer), &mut output, &options, &mut ()).unwrap();
        self.add(&output);
    }

    fn native(&mut self, tar: &[u8], options: &RafsOptions) {
        let mut output = MemoryOutput::default();
        let options = options.clone().chunk_size(CHUNK_SIZE);
        to_rafs(Streaming::new(tar), &mut output, &options, &mut ()).unwrap();
        self.add(&output);
    }

    fn merged(&self) -> Bytes {
        let mut merge = Merge::new(MergeOptions::default());
        for bootstrap in &self.bootstraps {
            merge.push(&opened(bootstrap), None).unwrap();
        }
        merge.finish().to_bytes().unwrap().into()
    }

    /// The digest of the tree of `bootstrap`, when all else was found to be right.
    fn tree(&self, bootstrap: &Bytes) -> String {
        let source = Arc::new(bootstrap.clone());
        let image: OpenImage =
            open_source(source, None, self.blobs.clone(), &Default::default()).unwrap();
        let (mut found, options) = (Vec::new(), VerifyOptions::default().threads(1));
        let tell = &mut |finding: image_read::Finding| found.push(finding.to_string());
        verify_image(&image, &options, &mut (), tell).unwrap();
        assert_eq!(found, [""; 0]);
        let digest = image.tree_digest(Profile::Default, &mut ()).unwrap();
        digest.to_string()
    }
}

fn put(output: &mut MemoryOutput, bytes: &[u8]) {
    use std::io::Write as _;
    let mut object = output.begin(ObjectRole::Blob).unwrap();
    object.write_all(bytes).unwrap();
    let written = Written::new(verify::sha256(bytes), bytes.len() as u64);
    object.finish(&written).unwrap();
    output.commit().unwrap();
}

fn opened(bootstrap: &Bytes) -> Bootstrap {
    Bootstrap::open(bootstrap.clone(), &Limits::default()).unwrap()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut member = Vec::new();
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    encoder.encode_frame(plain, &mut member).unwrap();
    member
}

/// A layer with a directory of its own, a file that the layer before has, too, and one that the next one removes.
fn layer(number: u64) -> Vec<u8> {
    let small = |seed: u64| format!("file {seed} of layer {number}\n").repeat(20);
    let mut tar = Tar::new()
        .file("every", &noise(number, 1_000))
        .file(&format!("gone-{number}"), b"gone")
        .directory(&format!("d{number}"))
        .file(&format!("d{number}/long"), &noise(100 + number, 200_000));
    for seed in 0..20 {
        tar = tar.file(&format!("d{number}/{seed}"), small(seed).as_bytes());
    }
    if let Some(before) = number.checked_sub(1) {
        tar = tar.file(&format!(".wh.gone-{before}"), b"");
    }
    tar.finish()
}

/// What is left of so many layers.
fn all_layers(count: u64) -> Vec<u8> {
    let mut tar = Tar::new();
    for number in 0..count {
        tar = tar
            .directory(&format!("d{number}"))
            .file(&format!("d{number}/long"), &noise(100 + number, 200_000));
        for seed in 0..20 {
            let small = format!("file {seed} of layer {number}\n").repeat(20);
            tar = tar.file(&format!("d{number}/{seed}"), small.as_bytes());
        }
    }
    let last = count - 1;
    tar.file("every", &noise(last, 1_000))
        .file(&format!("gone-{last}"), b"gone")
        .finish()
}

#[test]
fn layers_as_they_were() {
    let mut made = Made::default();
    // The second one has a member for every 50,000 bytes, the third one is a plain tar.
    made.kept(&gzip(&layer(0)));
    let members = layer(1).chunks(50_000).map(gzip).collect::<Vec<_>>();
    made.kept(&members.concat());
    made.kept(&layer(2));
    let merged = made.merged();
    let entries = opened(&merged).blob_entries().to_vec();
    assert_eq!(entries.len(), 3);
    for (entry, bootstrap) in entries.iter().zip([0, 1, 2]) {
        let own = opened(&made.bootstraps[bootstrap]);
        assert!(own.blob_entries() == [entry.clone()], "{bootstrap}");
    }
    assert_eq!(made.tree(&merged), digest_of_tar(&all_layers(3)));
}

/// Chunk information is where it was, whatever the number of a blob became.
#[test]
fn a_merged_image_is_merged_once_more() {
    let mut made = Made::default();
    made.kept(&gzip(&layer(0)));
    made.native(&layer(1), &plain_options());
    let mut merge = Merge::new(MergeOptions::default());
    merge.push_parent(&opened(&made.merged())).unwrap();
    made.kept(&gzip(&layer(2)));
    merge.push(&opened(&made.bootstraps[2]), None).unwrap();
    let again: Bytes = merge.finish().to_bytes().unwrap().into();
    assert_eq!(again, made.merged());
    assert_eq!(made.tree(&again), digest_of_tar(&all_layers(3)));
}

#[test]
fn batches_beside_other_modes() {
    let mut made = Made::default();
    made.native(&layer(0), &plain_options().batch_size(4096));
    made.kept(&gzip(&layer(1)));
    made.native(&layer(2), &plain_options());
    made.native(&layer(3), &plain_options().batch_size(CHUNK_SIZE));
    let merged = made.merged();
    assert_eq!(opened(&merged).blob_entries().len(), 4);
    assert_eq!(made.tree(&merged), digest_of_tar(&all_layers(4)));
}

#[cfg(feature = "encryption")]
#[test]
fn each_encrypted_blob_keeps_its_key() {
    use image_model::XtsKey;
    let key = |seed: u8| {
        let key = std::array::from_fn(|n| seed.wrapping_add(n as u8));
        XtsKey::new(key, [seed; 16])
    };
    let mut made = Made::default();
    made.native(&layer(0), &plain_options().key(key(1)));
    made.native(&layer(1), &plain_options());
    made.native(&layer(2), &plain_options().key(key(9)).batch_size(4096));
    #[cfg(feature = "zstd")]
    {
        let zstd = Compression::Zstd { level: 3 };
        made.native(&layer(3), &plain_options().key(key(3)).compression(zstd));
    }
    let count = made.bootstraps.len();
    let merged = made.merged();
    let entries = opened(&merged).blob_entries().to_vec();
    let keys = entries.iter().map(rafs_format::v6::BlobEntry::xts_key);
    let expected = [key(1), None, key(9), key(3)];
    assert!(keys.eq(expected.into_iter().take(count)));
    assert_eq!(made.tree(&merged), digest_of_tar(&all_layers(count as u64)));
}

/// Two layers under one name, which say different things of it.
#[test]
fn contradictions_about_a_layer_are_found() {
    let mut made = Made::default();
    made.kept(&gzip(&layer(0)));
    let mut output = MemoryOutput::default();
    let options = ZranOptions::default()
        .chunk_size(CHUNK_SIZE)
        .span(std::num::NonZeroU32::new(70_000));
    let layer = gzip(&layer(0));
    to_zran(Streaming::new(&layer[..]), &mut output, &options, &mut ()).unwrap();
    made.add(&output);
    let mut merge = Merge::new(MergeOptions::default());
    merge.push(&opened(&made.bootstraps[0]), None).unwrap();
    let error = merge.push(&opened(&made.bootstraps[1]), None).unwrap_err();
    let id = opened(&made.bootstraps[0]).blob_entries()[0].id.clone();
    assert_eq!(error, MergeError::Contradiction { layer: 1, id });
}

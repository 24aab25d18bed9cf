//! Has nydus-core 3.0.0-beta.2 make blobs of a directory.
//!
//! `lazyoci-interop-nydus-v3 TREE OUT NAME LAYOUT CHUNK GROUP`: LAYOUT is none, zstd, lz4 (groups, compressed so) or raw (a
//! raw device); CHUNK and GROUP are the bytes of a chunk and the fewest of a group. Writes OUT/NAME.blob, which holds its
//! bootstrap; OUT/NAME.boot, the bootstrap that calls that blob by its digest; and OUT/NAME.flat.boot, in which chunks
//! have addresses of one space.

use std::collections::HashSet;
use std::env::args;
use std::error::Error;
use std::fs;
use std::path::Path;

use nydus_core::build::blob_chunk::{BlobLayout, BlobWriter};
use nydus_core::build::bootstrap::{render_bootstrap, render_flattened_bootstrap};
use nydus_core::build::inode::{build_tree, choose_epoch, resolve_chunk_addrs};
use nydus_format::blob::{BlobMetadataCompressor, BlobMetadataDigester, finish_full_blob};
use nydus_format::erofs::ErofsDeviceSlot;
use sha2::{Digest, Sha256};

/// Block at which devices are mapped: the first that they may be.
const MAPPED: u64 = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [tree, out, name, layout, chunk, group] = &arguments[..] else {
        return Err("TREE OUT NAME LAYOUT CHUNK GROUP".into());
    };
    let (chunk, group) = (chunk.parse()?, group.parse()?);
    let groups = BlobLayout::ChunkGroups {
        chunk_group_min_size: group,
    };
    let raw = BlobLayout::RawDevice {
        data_alignment: 0,
        data_alignment_threshold: 0,
    };
    let (compressor, layout) = match layout.as_str() {
        "none" => (BlobMetadataCompressor::None, groups),
        "zstd" => (BlobMetadataCompressor::Zstd, groups),
        "lz4" => (BlobMetadataCompressor::Lz4Block, groups),
        "raw" => (BlobMetadataCompressor::None, raw),
        other => return Err(format!("no layout {other}").into()),
    };
    let digester = Some(BlobMetadataDigester::Blake3);
    let mut writer = BlobWriter::new(Vec::new(), chunk, compressor, digester, true, layout)?;
    let mut inodes = build_tree(Path::new(tree), &mut writer, chunk, &HashSet::new())?;
    writer.finish()?;
    resolve_chunk_addrs(&mut inodes, &writer)?;
    let (blocks, data_size) = (writer.total_block_count(), writer.data_size());
    let data_digest = writer.data_digest().ok_or("it was to be digested")?;
    let (mut blob, _, metadata) = writer.into_parts_with_metadata()?;

    let epoch = choose_epoch(&inodes);
    let slot = |id| ErofsDeviceSlot::with_blob_id_and_mapped_blkaddr(blocks, id, MAPPED);
    let uuid = [0; 16];
    let inlined = render_bootstrap(&mut inodes, epoch, &[slot(&data_digest)?], &uuid)?;
    finish_full_blob(&mut blob, data_size, Some(&inlined), metadata.as_ref())?;
    let id: [u8; 32] = Sha256::digest(&blob).into();
    let beside = render_bootstrap(&mut inodes, epoch, &[slot(&id)?], &uuid)?;
    let flat = render_flattened_bootstrap(&mut inodes, epoch, &[slot(&id)?], &uuid)?;
    let out = Path::new(out);
    fs::write(out.join(format!("{name}.blob")), &blob)?;
    fs::write(out.join(format!("{name}.boot")), &beside)?;
    fs::write(out.join(format!("{name}.flat.boot")), &flat)?;
    Ok(())
}

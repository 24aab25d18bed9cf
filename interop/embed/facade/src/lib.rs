//! With the facade.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::thread;

use lazyoci::blob_io::bytes::Bytes;
use lazyoci::blob_io::{MemoryOutput, ObjectRole};
use lazyoci::convert::{FileContent, RafsOptions, RafsReport, Streaming, to_rafs};
use lazyoci::model::{Cancelled, Metadata, Name, Node, Tree};
use lazyoci::read::{Finding, Follow, OpenImage, OpenOptions, ReadError, open_source};
use lazyoci::read::{NoBlobs, VerifyOptions};

/// A layer as a RAFS image, held in memory: the file with bootstrap and content, and what was made.
pub fn layer_to_rafs(layer: &[u8]) -> Result<(Bytes, RafsReport), Box<dyn Error>> {
    let options = RafsOptions::default().inline_meta(true).toc(true);
    let mut output = MemoryOutput::default();
    let report = to_rafs(Streaming::new(layer), &mut output, &options, &mut ())?;
    let blob = output.object(ObjectRole::Blob).ok_or("the layer has no content")?;
    Ok((blob.bytes.clone(), report))
}

/// An image of one file that is put together in memory, as RAFS.
pub fn file_to_rafs(name: &str, content: &[u8]) -> Result<Bytes, Box<dyn Error>> {
    let mut tree = Tree::new(Metadata::implied_directory());
    let size = content.len() as u64;
    let file = Node::File { size, content: FileContent::from(content) };
    let file = tree.add(Metadata::default(), file);
    tree.link(Tree::<FileContent>::ROOT, Name::new(name.as_bytes())?, file)?;
    let options = RafsOptions::default().inline_meta(true);
    let mut output = MemoryOutput::default();
    to_rafs(tree, &mut output, &options, &mut ())?;
    let blob = output.object(ObjectRole::Blob).ok_or("the file is empty")?;
    Ok(blob.bytes.clone())
}

/// Whatever image `file` is.
pub fn open(file: Bytes) -> Result<OpenImage, Box<dyn Error>> {
    Ok(open_source(Arc::new(file), None, NoBlobs, &OpenOptions::default())?)
}

/// Everything that is wrong with an image, in one call.
pub fn verify(image: &OpenImage) -> Result<Vec<Finding>, Cancelled> {
    let mut findings = Vec::new();
    image.verify(&VerifyOptions::default(), &mut (), &mut |found| findings.push(found))?;
    Ok(findings)
}

/// A file, read by eight threads at once, a part by each.
pub fn read_in_parts(image: &OpenImage, path: &str) -> Result<Vec<u8>, ReadError> {
    let file = image.resolve(path, Follow::All)?;
    let part = image.image().attributes(file)?.size.div_ceil(8);
    let read = |number: u64| {
        let mut bytes = Vec::new();
        let range = number * part..(number + 1) * part;
        image.reader().read_range(file, range, &mut bytes)?;
        Ok::<_, ReadError>(bytes)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || read(number))).collect();
        let mut content = Vec::new();
        for thread in threads {
            let part = thread.join().expect("no thread panics")?;
            content.write_all(&part).map_err(ReadError::Write)?;
        }
        Ok(content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn a_layer_becomes_rafs_in_memory() {
        let layer = include_bytes!("../../../goldens/a4.tar.gz");
        let (blob, report) = layer_to_rafs(layer).unwrap();
        assert_eq!(report.report.inodes, 6);
        let image = open(blob).unwrap();
        assert_eq!(image.read("/f", 100).unwrap(), b"hello");
        assert_eq!(verify(&image).unwrap().len(), 0);
    }

    #[test]
    fn an_image_is_put_together_verified_and_read_by_threads() {
        let content = noise(3 << 20);
        let blob = file_to_rafs("data", &content).unwrap();
        let image = open(blob.clone()).unwrap();
        assert!(verify(&image).unwrap().is_empty());
        assert_eq!(read_in_parts(&image, "/data").unwrap(), content);

        let mut damaged = blob.to_vec();
        damaged[1 << 20] ^= 1;
        let image = open(damaged.into()).unwrap();
        assert!(!verify(&image).unwrap().is_empty());
    }
}

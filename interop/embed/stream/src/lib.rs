//! With the layer stream of `lazyoci-tar-stream` alone, under tokio.

use std::error::Error;

use lazyoci_tar_stream::{LayerStream, StreamOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, copy, sink};

/// The names of all members of a layer, whatever its compression and however many gzip members or
/// zstd frames it has; and the length of its tar.
pub async fn names(layer: impl AsyncRead + Unpin) -> Result<(Vec<String>, u64), Box<dyn Error>> {
    let mut tar = LayerStream::new(layer, &StreamOptions::default());
    let (mut names, mut header) = (Vec::new(), [0; 512]);
    while tar.read_exact(&mut header).await? > 0 && header[0] != 0 {
        let name = header[..100].split(|byte| *byte == 0).next();
        names.push(String::from_utf8(name.unwrap_or_default().into())?);
        let size = u64::from_str_radix(str::from_utf8(&header[124..135])?, 8)?;
        let mut payload = (&mut tar).take(size.next_multiple_of(512));
        copy(&mut payload, &mut sink()).await?;
    }
    // Only at its end has the whole layer been checked.
    copy(&mut tar, &mut sink()).await?;
    let summary = tar.summary().ok_or("the layer has an end")?;
    Ok((names, summary.decoded.len))
}

#[cfg(test)]
mod tests {
    const LAYER: &[u8] =
        include_bytes!("../../../../crates/estargz-toc/tests/goldens/vector1.esgz");

    fn names(layer: &[u8]) -> (Vec<String>, u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(super::names(layer)).unwrap()
    }

    #[test]
    fn an_estargz_layer_is_read_completely() {
        let members = LAYER.windows(3).filter(|at| *at == [0x1f, 0x8b, 8]).count();
        assert!(members > 3, "{members} gzip members");
        let (names, len) = names(LAYER);
        assert_eq!(names.last().unwrap(), "stargz.index.json");
        assert!(names.len() > 3, "{names:?}");
        assert_eq!(len % 512, 0);
    }

    #[test]
    fn frames_of_zstd_are_read_without_the_c_library() {
        let mut tar = Vec::new();
        for name in [b"a", b"b"] {
            let mut header = [0; 512];
            header[0] = name[0];
            header[124..135].copy_from_slice(b"00000000003");
            tar.extend(header);
            tar.extend([b'x'; 512]);
        }
        tar.extend([0; 1024]);
        let mut layer = Vec::new();
        for piece in tar.chunks(100) {
            let len = piece.len() as u8;
            layer.extend([0x28, 0xb5, 0x2f, 0xfd, 0x20, len]);
            layer.extend(&(u32::from(len) << 3 | 1).to_le_bytes()[..3]);
            layer.extend(piece);
            layer.extend([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]);
        }
        let (names, len) = names(&layer);
        assert_eq!((names, len), (vec!["a".into(), "b".into()], 3072));
    }
}

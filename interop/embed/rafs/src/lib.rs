//! With `lazyoci-rafs-format` alone.

use std::error::Error;

use lazyoci_rafs_format::bytes::Bytes;
use lazyoci_rafs_format::model::Limits;
use lazyoci_rafs_format::model::walk::Walk;
use lazyoci_rafs_format::v6::Bootstrap;

/// Every path of a bootstrap that is held in memory.
pub fn list(bootstrap: &[u8]) -> Result<Vec<String>, Box<dyn Error>> {
    let bytes = Bytes::copy_from_slice(bootstrap);
    let image = Bootstrap::open(bytes, &Limits::default())?;
    let mut walk = Walk::new(&image, &Limits::default());
    let mut paths = Vec::new();
    while let Some(entry) = walk.next_entry() {
        paths.push(entry?.path.to_string());
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bootstrap_in_memory_is_listed() {
        let golden = include_bytes!("../../../goldens/a4-v6-none-sha256/image.boot");
        let expected = ["/", "/d", "/d/h", "/d/l", "/e", "/f", "/z"];
        assert_eq!(super::list(golden).unwrap(), expected);
    }
}

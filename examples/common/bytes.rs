//! Byte counts on the command line.

/// Parses a byte count: `4096`, `4KiB`, `1MiB`, `2GiB`, `1TiB`.
pub fn parse(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    let bytes = number.parse::<u64>().ok();
    bytes
        .and_then(|number| number.checked_mul(1u64 << shift))
        .ok_or_else(|| format!("`{text}` is not a number of bytes, such as 4096, 64KiB or 1MiB"))
}

/// The same, but within 32 bits.
pub fn parse_u32(text: &str) -> Result<u32, String> {
    u32::try_from(parse(text)?).map_err(|_| format!("`{text}` is 4 GiB or more"))
}

/// The same, but nonzero and within 32 bits.
pub fn parse_chunk_size(text: &str) -> Result<std::num::NonZeroU32, String> {
    let bytes = u32::try_from(parse(text)?).ok();
    bytes
        .and_then(std::num::NonZeroU32::new)
        .ok_or_else(|| format!("`{text}` is not a valid chunk size"))
}

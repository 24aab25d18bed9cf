//! Where the device table is, and the devices.

/// First byte of the device table.
pub(crate) const OFFSET: u64 = 1408;

/// Addresses of devices are multiples of 512 KiB.
pub(crate) const ALIGNMENT: u64 = 0x8_0000;

//! Device numbers in the 32 bits that inodes have for them.

use image_model::Device;

/// Largest major number that fits.
const MAX_MAJOR: u32 = 0xfff;
/// Largest minor number that fits.
const MAX_MINOR: u32 = 0xf_ffff;

/// A device number in 32 bits: Linux's `new_encode_dev`; `None` if it does
/// not fit.
#[must_use]
pub const fn pack_device(device: Device) -> Option<u32> {
    let Device { major, minor } = device;
    if major > MAX_MAJOR || minor > MAX_MINOR {
        return None;
    }
    Some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// Linux's `new_decode_dev`.
#[must_use]
pub const fn unpack_device(packed: u32) -> Device {
    Device {
        major: packed >> 8 & MAX_MAJOR,
        minor: packed & 0xff | packed >> 12 & 0xf_ff00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_pack_as_linux_does() {
        for (major, minor, packed) in [
            (5, 1, 0x501),
            (259, 300, 0x11_032c),
            (0, 0, 0),
            (MAX_MAJOR, MAX_MINOR, u32::MAX),
        ] {
            let device = Device { major, minor };
            assert_eq!(pack_device(device), Some(packed));
            assert_eq!(unpack_device(packed), device);
        }
        for (major, minor) in [(MAX_MAJOR + 1, 0), (0, MAX_MINOR + 1)] {
            assert_eq!(pack_device(Device { major, minor }), None);
        }
    }
}

//! Bytes of packed weights.

use std::sync::Arc;

/// A cache line, so that a 64-byte load never crosses one.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes that begin at a cache line. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bytes {
    lines: Arc<[Line]>,
    len: usize,
}

impl Bytes {
    /// `len` zero bytes.
    pub(super) fn zeroed(len: usize) -> Self {
        Self { lines: std::iter::repeat_n(Line([0; 64]), len.div_ceil(64)).collect(), len }
    }

    /// The bytes of a value that nobody else holds yet.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        let lines = Arc::get_mut(&mut self.lines).expect("bytes are written only while they are new");
        // SAFETY: `Line` is 64 initialised bytes without padding, `len` is at most 64 times their number, and the
        // borrow of `lines` keeps everybody else away.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), self.len) }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `Line` is 64 initialised bytes without padding, and `len` is at most 64 times their number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

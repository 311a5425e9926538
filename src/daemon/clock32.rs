//! The clock of musl for 32-bit ARM, for whoever asks it in 32 bits.
//!
//! Rust's standard library does, and panics where they end, in January 2038: hyper asks it at every request. The
//! linker takes this `clock_gettime` for musl's own of that name; it stands still then instead. So the `Date` of an
//! answer is wrong, and `https` takes every certificate for one of the future. Nothing else of this program asks it.

#![expect(unsafe_code, reason = "it stands in for a function of the C library")]

use std::ffi::c_int;

#[repr(C)]
struct Time32 {
    seconds: i32,
    nanoseconds: i32,
}

/// musl's `struct timespec`.
#[repr(C)]
#[derive(Default)]
struct Time64 {
    seconds: i64,
    nanoseconds: i32,
    padding: i32,
}

unsafe extern "C" {
    fn __clock_gettime64(clock: c_int, time: *mut Time64) -> c_int;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Time32) -> c_int {
    let mut now = Time64::default();
    // SAFETY: `now` is valid for writes, and laid out as musl has it.
    let result = unsafe { __clock_gettime64(clock, &raw mut now) };
    if result == 0 {
        let now = Time32 {
            seconds: i32::try_from(now.seconds).unwrap_or(i32::MAX),
            nanoseconds: now.nanoseconds,
        };
        // SAFETY: who calls the C function of this name has room for its answer.
        unsafe { time.write(now) };
    }
    result
}

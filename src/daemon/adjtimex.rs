//! Asks the kernel whether its clock is synchronised. The one system call that no library here has.

#![expect(unsafe_code, reason = "a system call without a safe wrapper")]

/// What `adjtimex` returns of a clock that nobody keeps right. Source: adjtimex(2).
const TIME_ERROR: libc::c_long = 5;

/// Whether NTP keeps the clock right; `None` if the kernel may not be asked, as in a sandbox.
///
/// Only what the call returns is looked at, so the layout of `struct timex`, which differs between kernels
/// and C libraries on 32-bit hosts, does not matter.
pub(super) fn is_synchronised() -> Option<bool> {
    // More than a `struct timex` is anywhere.
    let mut timex = [0_u64; 64];
    // SAFETY: the kernel writes no more than a `struct timex`, which `timex` has room for, is aligned for,
    // and lives through the call. Its `modes` are 0: it asks, and changes nothing.
    let state = unsafe { libc::syscall(libc::SYS_adjtimex, timex.as_mut_ptr()) };
    (state >= 0).then_some(state != TIME_ERROR)
}

//! Check-in: how a job of launchd gets the sockets that launchd holds for it, by launch(3).
//!
//! Owns the one call here that has no safe form. Must not know what the sockets are for.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    io,
    os::fd::{FromRawFd, OwnedFd},
    ptr, slice,
};

use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// Why there are no sockets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckInError {
    /// `ENOENT`.
    #[error("launchd has no sockets of the name {0:?} for this process")]
    NoSuchName(String),
    /// `ESRCH`.
    #[error("launchd did not start this process")]
    NotManaged,
    /// `EALREADY`.
    #[error("the sockets of the name {0:?} were taken before")]
    Taken(String),
    /// Any other error number.
    #[error("launchd does not hand out the sockets {0:?}: {1}")]
    Refused(String, String),
}

/// Takes the listening sockets that stand under this name in the `Sockets` of the job that this
/// process is: none, if launchd could bind none of them. A name can be taken once. Each is closed on
/// exec from then on.
pub fn check_in(name: &CStr) -> Result<Vec<OwnedFd>, CheckInError> {
    let said = || name.to_string_lossy().into_owned();
    let taken = activate(name).map_err(|error| match error {
        Errno::NOENT => CheckInError::NoSuchName(said()),
        Errno::SRCH => CheckInError::NotManaged,
        Errno::ALREADY => CheckInError::Taken(said()),
        other => CheckInError::Refused(said(), io::Error::from(other).to_string()),
    })?;
    for socket in &taken {
        // The engine must not have them. That a descriptor is open is all that this needs.
        fcntl_setfd(socket, FdFlags::CLOEXEC)
            .map_err(|error| CheckInError::Refused(said(), io::Error::from(error).to_string()))?;
    }
    Ok(taken)
}

#[expect(
    unsafe_code,
    reason = "the system has no other way to take the sockets"
)]
fn activate(name: &CStr) -> Result<Vec<OwnedFd>, Errno> {
    unsafe extern "C" {
        fn launch_activate_socket(
            name: *const c_char,
            fds: *mut *mut c_int,
            count: *mut usize,
        ) -> c_int;
        fn free(memory: *mut c_void);
    }

    let mut fds: *mut c_int = ptr::null_mut();
    let mut count = 0;
    // SAFETY: launch(3): the name ends with NUL, and both others are places to write to.
    let error = unsafe { launch_activate_socket(name.as_ptr(), &raw mut fds, &raw mut count) };
    if error != 0 {
        return Err(Errno::from_raw_os_error(error));
    }
    if fds.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: on success there is an array of so many descriptors. They are the caller's, and so is
    // the array, which comes from malloc(3); neither is used after this.
    unsafe {
        let owned = slice::from_raw_parts(fds, count).iter();
        let owned = owned.map(|fd| OwnedFd::from_raw_fd(*fd)).collect();
        free(fds.cast());
        Ok(owned)
    }
}

//! Many datagrams in one system call: recvmmsg and sendmmsg. And what else of Linux has no safe face: options
//! of a socket, the room on a disk, and memory that is asked for ahead.
//!
//! The only unsafe code of the workspace. The system is handed arrays on this stack that point at each
//! other and at the caller's bytes; all of them outlive the call, and nothing keeps a pointer after it.
#![allow(
    unsafe_code,
    reason = "the standard library moves one datagram at a time"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, offset_of, zeroed};
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU8;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::{
    c_int, c_uint, cmsghdr, iovec, mmsghdr, sock_filter, sock_fprog, sockaddr_in6, socklen_t,
};
use socket2::{SockAddr, SockAddrStorage, SockRef};

use crate::group::SteeringRules;
use crate::runs::Message;
use crate::{RECEIVE_BATCH_MAX, SEND_BATCH_MAX};

/// Fills slots of `slot_len` bytes with what waits, and appends sender and length of each to `filled`. True if less waited
/// than there are slots.
///
/// # Errors
/// Nothing waits ([`io::ErrorKind::WouldBlock`]), or the system's own.
pub(crate) fn receive(
    socket: &UdpSocket,
    slots: &mut [u8],
    slot_len: usize,
    filled: &mut Vec<(SocketAddr, usize)>,
) -> io::Result<bool> {
    // SAFETY: integers.
    let mut names: [sockaddr_in6; RECEIVE_BATCH_MAX] = unsafe { zeroed() };
    let mut parts = [const { MaybeUninit::uninit() }; RECEIVE_BATCH_MAX];
    let mut headers = [const { MaybeUninit::uninit() }; RECEIVE_BATCH_MAX];
    let mut count: c_uint = 0;
    for (((slot, header), part), name) in slots
        .chunks_exact_mut(slot_len)
        .zip(&mut headers)
        .zip(&mut parts)
        .zip(&mut names)
    {
        let message = &mut header.write(empty()).msg_hdr;
        message.msg_iov = part.write(iovec {
            iov_base: slot.as_mut_ptr().cast(),
            iov_len: slot.len(),
        });
        message.msg_iovlen = 1;
        message.msg_name = std::ptr::from_mut(name).cast();
        message.msg_namelen = NAME_LEN;
        count += 1;
    }
    // SAFETY: `count` headers were filled; each points at one name and one part of its own, and each
    // part at a slot that is borrowed mutably until this function returns.
    let outcome = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            NO_FLAGS,
            std::ptr::null_mut(),
        )
    };
    let received = told(outcome)?;
    for (header, name) in headers.iter().zip(&names).take(received) {
        // SAFETY: as many headers as the system tells of were filled above.
        let header = unsafe { header.assume_init_ref() };
        let mut from = SockAddrStorage::zeroed();
        // SAFETY: the system wrote an address and its length here, for each datagram it told of; those of these sockets
        // are no longer than what they are copied to.
        let from = unsafe {
            *from.view_as() = *name;
            SockAddr::new(from, header.msg_hdr.msg_namelen)
        };
        let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        let len = usize::try_from(header.msg_len).unwrap_or(usize::MAX);
        filled.push((from, len));
    }
    Ok(outcome.cast_unsigned() < count)
}

/// Sends `messages`, whose bytes are in `bytes`. Tells how many the system took: fewer than all if one of
/// them cannot leave.
///
/// # Errors
/// The first of them cannot leave, because the buffer is full ([`io::ErrorKind::WouldBlock`]) or for
/// the system's own reason.
pub(crate) fn send(socket: &UdpSocket, bytes: &[u8], messages: &[Message]) -> io::Result<usize> {
    // Most batches are short, so only what is used of these is ever written.
    let mut names = [const { MaybeUninit::uninit() }; SEND_BATCH_MAX];
    let mut pieces = [const { MaybeUninit::uninit() }; SEND_BATCH_MAX];
    let mut cuts = [const { MaybeUninit::uninit() }; SEND_BATCH_MAX];
    let mut headers = [const { MaybeUninit::uninit() }; SEND_BATCH_MAX];
    let mut count = 0;
    for ((((message, header), piece), name), cut) in messages
        .iter()
        .zip(&mut headers)
        .zip(&mut pieces)
        .zip(&mut names)
        .zip(&mut cuts)
    {
        let data = bytes.get(message.start..message.end).unwrap_or_default();
        let name: &SockAddr = name.write(SockAddr::from(message.to));
        let header = &mut header.write(empty()).msg_hdr;
        header.msg_iov = piece.write(iovec {
            iov_base: data.as_ptr().cast_mut().cast(),
            iov_len: data.len(),
        });
        header.msg_iovlen = 1;
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_namelen = name.len();
        if let Some(segment) = message.segment {
            let cut = cut.write(Cut::at(segment));
            header.msg_control = std::ptr::from_mut(cut).cast();
            header.msg_controllen = size_of::<Cut>() as _;
        }
        count += 1;
    }
    // SAFETY: `count` headers were filled; each points at one name, one piece and, with its length, one cut
    // of its own, and each piece at borrowed bytes. The system only reads what is sent, whatever the
    // pointers' types say. Addresses hold nothing that has to be dropped.
    let outcome = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            NO_FLAGS,
        )
    };
    told(outcome)
}

/// A header that points at nothing.
fn empty() -> mmsghdr {
    // SAFETY: integers and pointers that may be null.
    unsafe { zeroed() }
}

/// Bytes of the longest address that these sockets have.
const NAME_LEN: socklen_t = 28;
const _: () = assert!(size_of::<sockaddr_in6>() == NAME_LEN as usize);

/// The control message that says where the system cuts a run.
#[repr(C)]
struct Cut {
    header: cmsghdr,
    segment: u16,
}

impl Cut {
    const fn at(segment: u16) -> Self {
        let header = cmsghdr {
            cmsg_len: (offset_of!(Self, segment) + size_of::<u16>()) as _,
            cmsg_level: libc::SOL_UDP,
            cmsg_type: libc::UDP_SEGMENT,
        };
        Self { header, segment }
    }
}

/// Whether the system cuts runs apart: an old one would take no notice, and send one large datagram.
///
/// # Errors
/// The system's own: it does not.
pub(crate) fn knows_runs(socket: &UdpSocket) -> io::Result<()> {
    const NEVER_UNASKED: c_int = 0;
    set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, &NEVER_UNASKED)
}

/// Makes the system refuse runs of this socket.
#[cfg(test)]
pub(crate) fn leave_checksums_out(socket: &UdpSocket) -> io::Result<()> {
    const ON: c_int = 1;
    set(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, &ON)
}

/// True if a device said that it cannot cut a run apart.
pub(crate) fn cannot_cut(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

/// Makes the socket receive as one what was sent as one.
#[cfg(test)]
pub(crate) fn join(socket: &UdpSocket) -> io::Result<()> {
    const ON: c_int = 1;
    set(socket, libc::SOL_UDP, libc::UDP_GRO, &ON)
}

/// Lets other sockets have the same port, if they say so too.
///
/// # Errors
/// The system's own: it cannot.
pub(crate) fn share(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Puts a program before the port that `socket` shares with others, `count` together. See
/// [`SteeringRules`]. The system lets the program see what a datagram carries, and drops none for it.
///
/// # Errors
/// The system's own: it cannot, or the port is not shared.
pub(crate) fn steer(socket: &UdpSocket, rules: &SteeringRules, count: NonZeroU8) -> io::Result<()> {
    let mut program = program(rules, count);
    let program = sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    let option = libc::SO_ATTACH_REUSEPORT_CBPF;
    set(socket, libc::SOL_SOCKET, option, &program)
}

/// What is returned is a socket's number. A number that no socket has makes the system choose by its own hash
/// of both addresses and ports: it spreads, and keeps what comes from one address and port together. A read
/// beyond the end of a datagram returns 0.
fn program(rules: &SteeringRules, count: NonZeroU8) -> [sock_filter; 11] {
    const LOAD: c_uint = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const AND: c_uint = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    const IS: c_uint = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const IS_LEAST: c_uint = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: c_uint = libc::BPF_RET | libc::BPF_K;
    const RETURN_LOADED: c_uint = libc::BPF_RET | libc::BPF_A;
    const BY_HASH: u32 = u32::MAX;
    let step = |code: c_uint, jt, jf, k| sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let (numbered, spread) = (rules.numbered, rules.spread);
    [
        step(LOAD, 0, 0, 0),
        step(AND, 0, 0, numbered.mask.into()),
        step(IS, 0, 3, numbered.value.into()),
        step(LOAD, 0, 0, rules.number_at.into()),
        step(IS_LEAST, 4, 0, count.get().into()),
        step(RETURN_LOADED, 0, 0, 0),
        step(LOAD, 0, 0, 0),
        step(AND, 0, 0, spread.mask.into()),
        step(IS, 1, 0, spread.value.into()),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, BY_HASH),
    ]
}

/// Asks the processor for `len` bytes from `at` on, which will be needed soon. It goes on meanwhile, and takes no
/// notice if there is no such memory.
pub fn fetch(at: *const u8, len: usize) {
    let before = at.addr() % LINE_LEN;
    let mut line = at.wrapping_sub(before);
    // Counted ahead: four instructions a line, of which each datagram asks for some sixty.
    for _ in 0..before.saturating_add(len).div_ceil(LINE_LEN) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint. Of an address that cannot be read the processor takes no notice.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above; neither memory nor flags nor stack are touched.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
        }
        line = line.wrapping_add(LINE_LEN);
    }
}

/// Bytes that a processor fetches at a time.
const LINE_LEN: usize = 64;

/// Bytes that this process may still write to the disk of `folder`.
///
/// # Errors
/// The folder is not there, or the system's own.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: integers alone.
    let mut told: libc::statvfs = unsafe { zeroed() };
    // SAFETY: the path ends with a zero byte, and `told` is ours and of the type that is filled.
    let outcome = unsafe { libc::statvfs(path.as_ptr(), &raw mut told) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// Sets an option whose value is a `T`. What `T` may be is the option's: each caller names both.
fn set<T>(socket: &impl AsRawFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let len = socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: `value` is borrowed for the call and `len` bytes long. The system copies it, and the program
    // that a `sock_fprog` points at, which lives in the caller.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, len) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The sockets are non-blocking already.
const NO_FLAGS: c_int = 0;

/// How many datagrams moved, or why none.
fn told(outcome: c_int) -> io::Result<usize> {
    let count = c_uint::try_from(outcome).map_err(|_| io::Error::last_os_error())?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

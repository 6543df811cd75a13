//! What language runtimes insist on importing: stand-ins that reach nothing.
//!
//! The clock is the epoch's, randomness is seeded by the module's hash, waiting takes no
//! time, arguments and environment are empty, and what is printed goes to the log. There
//! are no files and no sockets.

use wasmtime::{Caller, Extern, Linker, Memory, bail, format_err};

use crate::guest::{Exited, Guest};

pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

// WASI's error numbers.
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOTSUP: i32 = 58;

/// The most waits one `poll_oneoff` may name, and parts one `fd_write` may have.
const ENTRIES: u32 = 1_024;
/// The most bytes one call reads or writes: the host's own code has no deadline to stop at.
const CALL_BYTES: u32 = 64 << 10;
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: usize = 32;
const ABSOLUTE: u16 = 1;

/// All that a core module may import.
pub(crate) const FUNCTIONS: [&str; 17] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_seek",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

/// Makes the stand-ins available.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "args_sizes_get", no_strings)?
        .func_wrap(MODULE, "environ_sizes_get", no_strings)?
        .func_wrap(MODULE, "args_get", |_: i32, _: i32| SUCCESS)?
        .func_wrap(MODULE, "environ_get", |_: i32, _: i32| SUCCESS)?
        .func_wrap(MODULE, "clock_time_get", clock_time_get)?
        .func_wrap(MODULE, "clock_res_get", clock_res_get)?
        .func_wrap(MODULE, "random_get", random_get)?
        .func_wrap(MODULE, "sched_yield", || SUCCESS)?
        .func_wrap(MODULE, "poll_oneoff", poll_oneoff)?
        .func_wrap(MODULE, "fd_write", fd_write)?
        .func_wrap(MODULE, "fd_close", |_: i32| BADF)?
        .func_wrap(MODULE, "fd_fdstat_get", |_: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_fdstat_set_flags", |_: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_prestat_get", |_: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| BADF)?
        .func_wrap(MODULE, "fd_seek", |_: i32, _: i64, _: i32, _: i32| BADF)?
        .func_wrap(MODULE, "proc_exit", exit)?;
    Ok(())
}

fn exit(status: i32) -> wasmtime::Result<()> {
    Err(Exited(status).into())
}

type Answer = wasmtime::Result<i32>;

fn no_strings(mut caller: Caller<'_, Guest>, count: u32, bytes: u32) -> Answer {
    write(&mut caller, count, &0u32.to_le_bytes())?;
    write(&mut caller, bytes, &0u32.to_le_bytes())?;
    Ok(SUCCESS)
}

fn clock_time_get(mut caller: Caller<'_, Guest>, clock: i32, _precision: i64, time: u32) -> Answer {
    let nanos = match clock {
        0 => caller.data().epoch_micros().saturating_mul(1_000),
        1 => caller.data_mut().monotonic_nanos(),
        _ => return Ok(INVAL),
    };
    write(&mut caller, time, &nanos.to_le_bytes())?;
    Ok(SUCCESS)
}

fn clock_res_get(mut caller: Caller<'_, Guest>, _clock: i32, resolution: u32) -> Answer {
    write(&mut caller, resolution, &1_000u64.to_le_bytes())?;
    Ok(SUCCESS)
}

fn random_get(mut caller: Caller<'_, Guest>, at: u32, bytes: u32) -> Answer {
    if bytes > CALL_BYTES {
        return Ok(INVAL);
    }
    let random = caller.data().random.clone();
    let memory = memory(&mut caller)?;
    let room = memory.data_mut(&mut caller).get_mut(at as usize..);
    let room = room.and_then(|rest| rest.get_mut(..bytes as usize));
    random.fill(room.ok_or_else(|| outside(at))?);
    Ok(SUCCESS)
}

/// Every clock that is waited for has rung when this returns.
fn poll_oneoff(
    mut caller: Caller<'_, Guest>,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> Answer {
    if count == 0 || count > ENTRIES {
        return Ok(INVAL);
    }
    for number in 0..count {
        let at = subscriptions.saturating_add(number * SUBSCRIPTION_BYTES);
        let user_data: [u8; 8] = read(&mut caller, at)?;
        let [kind] = read(&mut caller, at.saturating_add(8))?;
        let mut error = NOTSUP;
        if kind == 0 {
            let timeout = u64::from_le_bytes(read(&mut caller, at.saturating_add(24))?);
            let flags = u16::from_le_bytes(read(&mut caller, at.saturating_add(40))?);
            let guest = caller.data_mut();
            let now = guest.monotonic_nanos();
            guest.sleep_until(if flags & ABSOLUTE == 0 {
                now.saturating_add(timeout)
            } else {
                timeout
            });
            error = SUCCESS;
        }
        let mut event = [0; EVENT_BYTES];
        event[..8].copy_from_slice(&user_data);
        event[8..10].copy_from_slice(&(error as u16).to_le_bytes());
        event[10] = kind;
        write(
            &mut caller,
            events.saturating_add(number * EVENT_BYTES as u32),
            &event,
        )?;
    }
    write(&mut caller, happened, &count.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Takes the first 64 KiB at most, and says how many bytes that were.
fn fd_write(
    mut caller: Caller<'_, Guest>,
    file: i32,
    parts: u32,
    count: u32,
    written: u32,
) -> Answer {
    if file != 1 && file != 2 {
        return Ok(BADF);
    }
    if count > ENTRIES {
        return Ok(INVAL);
    }
    let memory = memory(&mut caller)?;
    let mut total = 0u32;
    for number in 0..count {
        let part = parts.saturating_add(number * 8);
        let at = u32::from_le_bytes(read(&mut caller, part)?);
        let bytes = u32::from_le_bytes(read(&mut caller, part.saturating_add(4))?);
        let (memory, guest) = memory.data_and_store_mut(&mut caller);
        let text = memory
            .get(at as usize..)
            .and_then(|rest| rest.get(..bytes as usize));
        let text = text.ok_or_else(|| outside(at))?;
        let taken = text.len().min((CALL_BYTES - total) as usize);
        guest.log.write(file == 2, &text[..taken]);
        total += taken as u32;
    }
    write(&mut caller, written, &total.to_le_bytes())?;
    Ok(SUCCESS)
}

fn memory(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the module exports no memory"),
    }
}

fn read<const BYTES: usize>(
    caller: &mut Caller<'_, Guest>,
    at: u32,
) -> wasmtime::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    memory(caller)?
        .read(&*caller, at as usize, &mut bytes)
        .map_err(|_| outside(at))?;
    Ok(bytes)
}

fn write(caller: &mut Caller<'_, Guest>, at: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    memory(caller)?
        .write(&mut *caller, at as usize, bytes)
        .map_err(|_| outside(at))
}

fn outside(at: u32) -> wasmtime::Error {
    format_err!("an address outside its memory: {at:#x}")
}

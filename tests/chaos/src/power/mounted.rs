//! The tree as a mounted file system.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;

use super::tree::{Facts, PAGE, Refusal, Tree};

/// Everything goes through the kernel, so what it has been told stays true.
const FOR_LONG: Duration = Duration::from_secs(3_600);
/// Pages it claims to have room for.
const ROOM: u64 = (64 << 30) / PAGE as u64;
/// `fallocate` without any flag: the file grows.
const PLAIN: i32 = 0;
/// `FALLOC_FL_KEEP_SIZE`: room is promised, and nothing is seen of it.
const KEEP_SIZE: i32 = 1;

/// A folder as it was when somebody began to read it.
type Listing = Vec<(OsString, Facts)>;

pub(crate) struct Mounted {
    tree: Arc<Mutex<Tree>>,
    /// Folders that are being read: names that go while they are read shift nothing.
    listings: Mutex<(u64, HashMap<u64, Listing>)>,
}

impl Mounted {
    pub(crate) fn over(tree: Arc<Mutex<Tree>>) -> Mounted {
        Mounted {
            tree,
            listings: Mutex::default(),
        }
    }
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Errno {
        match refusal {
            Refusal::Missing => Errno::ENOENT,
            Refusal::Exists => Errno::EEXIST,
            Refusal::NotEmpty => Errno::ENOTEMPTY,
            Refusal::IsFolder => Errno::EISDIR,
            Refusal::IsNoFolder => Errno::ENOTDIR,
        }
    }
}

fn kind(facts: &Facts) -> FileType {
    match facts.is_folder {
        true => FileType::Directory,
        false => FileType::RegularFile,
    }
}

fn attributes(facts: &Facts) -> FileAttr {
    let time: SystemTime = UNIX_EPOCH;
    FileAttr {
        ino: INodeNo(facts.number),
        size: facts.len,
        blocks: facts.len.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(facts),
        perm: 0o700,
        nlink: if facts.is_folder { 2 } else { 1 },
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: PAGE as u32,
        flags: 0,
    }
}

fn entry(reply: ReplyEntry, found: Result<Facts, Refusal>) {
    match found {
        Ok(facts) => reply.entry(&FOR_LONG, &attributes(&facts), Generation(0)),
        Err(refusal) => reply.error(refusal.into()),
    }
}

fn done(reply: ReplyEmpty, outcome: Result<(), Refusal>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(refusal) => reply.error(refusal.into()),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.tree.lock().find(parent.0, name));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.tree.lock().facts(ino.0) {
            Ok(facts) => reply.attr(&FOR_LONG, &attributes(&facts)),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut tree = self.tree.lock();
        let outcome = match size {
            Some(size) => tree.set_len(ino.0, size),
            None => Ok(()),
        };
        match outcome.and_then(|()| tree.facts(ino.0)) {
            Ok(facts) => reply.attr(&FOR_LONG, &attributes(&facts)),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.tree.lock().make(parent.0, name, true));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.tree.lock().make(parent.0, name, false) {
            Ok(facts) => reply.created(
                &FOR_LONG,
                &attributes(&facts),
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.tree.lock().remove(parent.0, name, false));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.tree.lock().remove(parent.0, name, true));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut tree = self.tree.lock();
        let keeps = flags == RenameFlags::RENAME_NOREPLACE;
        if keeps && tree.find(newparent.0, newname).is_ok() {
            return reply.error(Errno::EEXIST);
        }
        if !keeps && !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        done(reply, tree.rename((parent.0, name), (newparent.0, newname)));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.tree.lock().read(ino.0, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.tree.lock().write(ino.0, offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn flush(
        &self,
        _: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // What is called so is the closing of a file, which promises nothing.
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        done(reply, self.tree.lock().flush(ino.0));
    }

    fn fsyncdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        done(reply, self.tree.lock().flush(ino.0));
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mut tree = self.tree.lock();
        let end = offset.saturating_add(length);
        match (mode, tree.facts(ino.0)) {
            (_, Err(refusal)) => reply.error(refusal.into()),
            (PLAIN, Ok(facts)) if facts.len < end => done(reply, tree.set_len(ino.0, end)),
            (PLAIN | KEEP_SIZE, Ok(_)) => reply.ok(),
            _ => reply.error(Errno::EOPNOTSUPP),
        }
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let names = match self.tree.lock().names(ino.0) {
            Ok(names) => names,
            Err(refusal) => return reply.error(refusal.into()),
        };
        let mut listings = self.listings.lock();
        let (next, open) = &mut *listings;
        *next += 1;
        open.insert(*next, names);
        reply.opened(FileHandle(*next), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listings = self.listings.lock();
        let names = listings.1.get(&fh.0).map_or(&[][..], Vec::as_slice);
        for (next, (name, facts)) in (1..).zip(names).skip(offset as usize) {
            if reply.add(INodeNo(facts.number), next, kind(facts), name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.listings.lock().1.remove(&fh.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let page = PAGE as u32;
        reply.statfs(ROOM, ROOM, ROOM, 1 << 20, 1 << 20, page, 255, page);
    }
}

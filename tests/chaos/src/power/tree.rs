//! Files and folders of which it is known what has been flushed and what has not.
//!
//! Everything is there twice: as programs see it, and as it would be after a loss of power.
//! `fsync` of a file makes its bytes and its length durable, and says nothing of its name;
//! `fsync` of a folder makes the names in it durable. Nothing else does, so this is the
//! strictest file system that still keeps the rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use runtime::Rng;

pub(crate) const PAGE: usize = 4096;
/// The number of the topmost folder, as FUSE has it.
pub(crate) const ROOT: u64 = 1;

type Page = Arc<[u8; PAGE]>;
type Names = BTreeMap<OsString, u64>;

#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: HashMap<u64, Node>,
    next: u64,
}

#[derive(Clone, Debug)]
enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Clone, Debug, Default)]
struct File {
    live: Content,
    durable: Content,
    /// Pages that were written since they were flushed.
    dirty: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    len: u64,
    pages: BTreeMap<u64, Page>,
}

#[derive(Clone, Debug, Default)]
struct Folder {
    live: Names,
    durable: Names,
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Exists,
    NotEmpty,
    IsFolder,
    IsNoFolder,
}

/// What there is to know of a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) is_folder: bool,
}

impl Tree {
    pub(crate) fn new() -> Tree {
        Tree {
            nodes: HashMap::from([(ROOT, Node::Folder(Folder::default()))]),
            next: ROOT + 1,
        }
    }

    pub(crate) fn facts(&self, number: u64) -> Result<Facts, Refusal> {
        let (len, is_folder) = match self.nodes.get(&number) {
            Some(Node::File(file)) => (file.live.len, false),
            Some(Node::Folder(_)) => (0, true),
            None => return Err(Refusal::Missing),
        };
        Ok(Facts {
            number,
            len,
            is_folder,
        })
    }

    pub(crate) fn find(&self, folder: u64, name: &OsStr) -> Result<Facts, Refusal> {
        let number = self.folder(folder)?.live.get(name);
        self.facts(*number.ok_or(Refusal::Missing)?)
    }

    /// Makes a file, or a folder.
    pub(crate) fn make(
        &mut self,
        folder: u64,
        name: &OsStr,
        is_folder: bool,
    ) -> Result<Facts, Refusal> {
        let number = self.next;
        let names = &mut self.folder_mut(folder)?.live;
        if names.contains_key(name) {
            return Err(Refusal::Exists);
        }
        names.insert(name.to_owned(), number);
        self.next += 1;
        let node = match is_folder {
            true => Node::Folder(Folder::default()),
            false => Node::File(File::default()),
        };
        self.nodes.insert(number, node);
        self.facts(number)
    }

    /// Takes a name away. Whoever has the file open goes on with it.
    pub(crate) fn remove(
        &mut self,
        folder: u64,
        name: &OsStr,
        is_folder: bool,
    ) -> Result<(), Refusal> {
        let found = self.find(folder, name)?;
        match (found.is_folder, is_folder) {
            (true, false) => return Err(Refusal::IsFolder),
            (false, true) => return Err(Refusal::IsNoFolder),
            (true, true) if !self.folder(found.number)?.live.is_empty() => {
                return Err(Refusal::NotEmpty);
            }
            _ => {}
        }
        self.folder_mut(folder)?.live.remove(name);
        Ok(())
    }

    /// Gives a file or folder another name, which it takes from whatever had it.
    pub(crate) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Refusal> {
        let moved = self.find(from.0, from.1)?;
        if let Ok(replaced) = self.find(to.0, to.1) {
            match (moved.is_folder, replaced.is_folder) {
                (false, true) => return Err(Refusal::IsFolder),
                (true, false) => return Err(Refusal::IsNoFolder),
                (true, true) if !self.folder(replaced.number)?.live.is_empty() => {
                    return Err(Refusal::NotEmpty);
                }
                _ => {}
            }
        }
        self.folder_mut(to.0)?
            .live
            .insert(to.1.to_owned(), moved.number);
        if from != to {
            self.folder_mut(from.0)?.live.remove(from.1);
        }
        Ok(())
    }

    pub(crate) fn names(&self, folder: u64) -> Result<Vec<(OsString, Facts)>, Refusal> {
        let names = self.folder(folder)?.live.iter();
        names
            .map(|(name, number)| Ok((name.clone(), self.facts(*number)?)))
            .collect()
    }

    pub(crate) fn read(&self, file: u64, at: u64, size: usize) -> Result<Vec<u8>, Refusal> {
        Ok(self.file(file)?.live.read(at, size))
    }

    pub(crate) fn write(&mut self, file: u64, at: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let file = self.file_mut(file)?;
        let touched = file.live.write(at, bytes);
        file.dirty.extend(touched);
        Ok(())
    }

    /// Cuts a file, or lets it grow by zeros.
    pub(crate) fn set_len(&mut self, file: u64, len: u64) -> Result<(), Refusal> {
        let file = self.file_mut(file)?;
        let touched = file.live.set_len(len);
        file.dirty.extend(touched);
        Ok(())
    }

    /// Makes what a file holds, or the names in a folder, durable.
    pub(crate) fn flush(&mut self, number: u64) -> Result<(), Refusal> {
        match self.nodes.get_mut(&number) {
            Some(Node::File(file)) => file.flush(),
            Some(Node::Folder(folder)) => folder.durable = folder.live.clone(),
            None => return Err(Refusal::Missing),
        }
        Ok(())
    }

    /// What was not flushed is gone; with `torn`, a random part of it is there all the same:
    /// single pages of files, their lengths, and all names or none, as a journal keeps them.
    pub(crate) fn lose_power(&mut self, torn: Option<&Rng>) {
        let names_kept = torn.is_some_and(|rng| rng.chance(0.3));
        let mut numbers: Vec<u64> = self.nodes.keys().copied().collect();
        // The seed decides, and not the order of a map.
        numbers.sort_unstable();
        for number in numbers {
            match self.nodes.get_mut(&number) {
                Some(Node::File(file)) => file.lose_power(torn),
                Some(Node::Folder(folder)) if names_kept => folder.durable = folder.live.clone(),
                Some(Node::Folder(folder)) => folder.live = folder.durable.clone(),
                None => {}
            }
        }
        self.forget_unnamed();
    }

    /// Files and folders that nothing leads to are gone.
    fn forget_unnamed(&mut self) {
        let mut open = vec![ROOT];
        let mut named = BTreeSet::new();
        while let Some(number) = open.pop() {
            if let Some(Node::Folder(folder)) = self.nodes.get(&number)
                && named.insert(number)
            {
                open.extend(folder.live.values());
            } else {
                named.insert(number);
            }
        }
        self.nodes.retain(|number, _| named.contains(number));
    }

    /// Copies everything to a real folder.
    pub(crate) fn write_out(&self, to: &Path) -> std::io::Result<()> {
        self.write_out_folder(ROOT, to)
    }

    fn write_out_folder(&self, folder: u64, to: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(to)?;
        let names = self.names(folder).unwrap_or_default();
        for (name, facts) in names {
            let path = to.join(name);
            if facts.is_folder {
                self.write_out_folder(facts.number, &path)?;
            } else {
                let bytes = self.read(facts.number, 0, facts.len as usize);
                std::fs::write(path, bytes.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn folder(&self, number: u64) -> Result<&Folder, Refusal> {
        match self.nodes.get(&number) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(Refusal::IsNoFolder),
            None => Err(Refusal::Missing),
        }
    }

    fn folder_mut(&mut self, number: u64) -> Result<&mut Folder, Refusal> {
        match self.nodes.get_mut(&number) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(Refusal::IsNoFolder),
            None => Err(Refusal::Missing),
        }
    }

    fn file(&self, number: u64) -> Result<&File, Refusal> {
        match self.nodes.get(&number) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(Refusal::IsFolder),
            None => Err(Refusal::Missing),
        }
    }

    fn file_mut(&mut self, number: u64) -> Result<&mut File, Refusal> {
        match self.nodes.get_mut(&number) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(Refusal::IsFolder),
            None => Err(Refusal::Missing),
        }
    }
}

impl File {
    fn flush(&mut self) {
        self.durable.set_len(self.live.len);
        for page in std::mem::take(&mut self.dirty) {
            match self.live.pages.get(&page) {
                Some(bytes) => drop(self.durable.pages.insert(page, bytes.clone())),
                None => drop(self.durable.pages.remove(&page)),
            }
        }
    }

    fn lose_power(&mut self, torn: Option<&Rng>) {
        if let Some(rng) = torn
            && !self.dirty.is_empty()
        {
            if rng.chance(0.5) {
                self.durable.set_len(self.live.len.max(self.durable.len));
            }
            let end = self.durable.len.div_ceil(PAGE as u64);
            for page in &self.dirty {
                if *page < end
                    && rng.chance(0.5)
                    && let Some(bytes) = self.live.pages.get(page)
                {
                    self.durable.pages.insert(*page, bytes.clone());
                }
            }
        }
        self.dirty.clear();
        self.live = self.durable.clone();
    }
}

impl Content {
    fn read(&self, at: u64, size: usize) -> Vec<u8> {
        let end = self.len.min(at.saturating_add(size as u64));
        let mut bytes = vec![0; end.saturating_sub(at) as usize];
        let mut done = 0;
        while done < bytes.len() {
            let from = at + done as u64;
            let within = (from % PAGE as u64) as usize;
            let count = (PAGE - within).min(bytes.len() - done);
            if let Some(page) = self.pages.get(&(from / PAGE as u64)) {
                bytes[done..done + count].copy_from_slice(&page[within..within + count]);
            }
            done += count;
        }
        bytes
    }

    /// The pages that were written.
    fn write(&mut self, at: u64, bytes: &[u8]) -> std::ops::Range<u64> {
        let mut done = 0;
        while done < bytes.len() {
            let from = at + done as u64;
            let within = (from % PAGE as u64) as usize;
            let count = (PAGE - within).min(bytes.len() - done);
            let page = self.pages.entry(from / PAGE as u64);
            let page = Arc::make_mut(page.or_insert_with(|| Arc::new([0; PAGE])));
            page[within..within + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        let end = at + bytes.len() as u64;
        self.len = self.len.max(end);
        at / PAGE as u64..end.div_ceil(PAGE as u64)
    }

    /// The pages that are not what they were.
    fn set_len(&mut self, len: u64) -> Vec<u64> {
        let gone = self.pages.split_off(&len.div_ceil(PAGE as u64));
        let mut touched: Vec<u64> = gone.into_keys().collect();
        let last = len / PAGE as u64;
        if len < self.len
            && let Some(page) = self.pages.get_mut(&last)
        {
            Arc::make_mut(page)[(len % PAGE as u64) as usize..].fill(0);
            touched.push(last);
        }
        self.len = len;
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with a file of this name in it, named durably.
    fn with_file(name: &str) -> (Tree, u64) {
        let mut tree = Tree::new();
        let made = tree.make(ROOT, name.as_ref(), false).expect("it is new");
        tree.flush(ROOT).expect("the root is there");
        (tree, made.number)
    }

    fn read(tree: &Tree, file: u64) -> Vec<u8> {
        let len = tree.facts(file).expect("it is there").len;
        tree.read(file, 0, len as usize).expect("it is a file")
    }

    #[test]
    fn what_was_flushed_survives_and_nothing_else_does() {
        let (mut tree, file) = with_file("log");
        tree.write(file, 0, b"kept").expect("it is a file");
        tree.flush(file).expect("it is there");
        tree.write(file, 2, b"PT and more").expect("it is a file");
        assert_eq!(read(&tree, file), b"kePT and more");
        tree.lose_power(None);
        assert_eq!(read(&tree, file), b"kept");
    }

    #[test]
    fn a_length_that_was_not_flushed_is_gone() {
        let (mut tree, file) = with_file("log");
        tree.set_len(file, 9_000).expect("it is a file");
        tree.flush(file).expect("it is there");
        tree.set_len(file, 10).expect("it is a file");
        assert_eq!(read(&tree, file).len(), 10);
        tree.lose_power(None);
        assert_eq!(read(&tree, file).len(), 9_000);
    }

    #[test]
    fn what_was_cut_does_not_come_back_when_a_file_grows() {
        let (mut tree, file) = with_file("log");
        tree.write(file, 0, &[7; 5_000]).expect("it is a file");
        tree.flush(file).expect("it is there");
        tree.set_len(file, 100).expect("it is a file");
        tree.set_len(file, 5_000).expect("it is a file");
        tree.flush(file).expect("it is there");
        tree.lose_power(None);
        assert_eq!(read(&tree, file)[100..], [0; 4_900]);
    }

    #[test]
    fn a_name_survives_only_if_its_folder_was_flushed() {
        let (mut tree, _) = with_file("old");
        let new = tree.make(ROOT, "new".as_ref(), false).expect("it is new");
        tree.flush(new.number).expect("it is there");
        tree.rename((ROOT, "old".as_ref()), (ROOT, "older".as_ref()))
            .expect("it is there");
        tree.lose_power(None);
        let names = tree.names(ROOT).expect("the root is there");
        let names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["old"]);
        assert_eq!(tree.facts(new.number), Err(Refusal::Missing));
    }

    #[test]
    fn a_file_renamed_over_another_takes_its_place_once_the_folder_is_flushed() {
        let (mut tree, _) = with_file("table");
        let new = tree.make(ROOT, "tmp".as_ref(), false).expect("it is new");
        tree.write(new.number, 0, b"new").expect("it is a file");
        tree.flush(new.number).expect("it is there");
        tree.rename((ROOT, "tmp".as_ref()), (ROOT, "table".as_ref()))
            .expect("it is there");
        tree.flush(ROOT).expect("it is there");
        tree.lose_power(None);
        let found = tree.find(ROOT, "table".as_ref()).expect("it is named");
        assert_eq!(read(&tree, found.number), b"new");
        assert_eq!(tree.find(ROOT, "tmp".as_ref()), Err(Refusal::Missing));
    }

    #[test]
    fn torn_writes_keep_whole_pages_and_spoil_nothing_that_was_flushed() {
        for seed in 0..50 {
            let (mut tree, file) = with_file("log");
            tree.write(file, 0, &[1; 8 * PAGE]).expect("it is a file");
            tree.flush(file).expect("it is there");
            tree.write(file, 4 * PAGE as u64, &[2; 8 * PAGE])
                .expect("it is a file");
            tree.lose_power(Some(&Rng::seeded(seed)));
            let after = read(&tree, file);
            assert_eq!(after[..4 * PAGE], [1; 4 * PAGE]);
            for (index, page) in after.chunks(PAGE).enumerate() {
                let same = page.iter().all(|byte| *byte == page[0]);
                let fit = if index < 8 { 1 } else { 0 };
                assert!(same && (page[0] == 2 || page[0] == fit), "seed {seed}");
            }
        }
    }

    #[test]
    fn folders_keep_the_rules_of_folders() {
        let mut tree = Tree::new();
        let inner = tree.make(ROOT, "a".as_ref(), true).expect("it is new");
        let file = tree.make(inner.number, "b".as_ref(), false);
        assert!(file.is_ok());
        let again = tree.make(ROOT, "a".as_ref(), true);
        assert_eq!(again, Err(Refusal::Exists));
        let early = tree.remove(ROOT, "a".as_ref(), true);
        assert_eq!(early, Err(Refusal::NotEmpty));
        let wrong = tree.remove(inner.number, "b".as_ref(), true);
        assert_eq!(wrong, Err(Refusal::IsNoFolder));
        tree.remove(inner.number, "b".as_ref(), false)
            .expect("it is there");
        tree.remove(ROOT, "a".as_ref(), true).expect("it is empty");
    }
}

//! The names of a simulated disk: what programs see, and what a crash cannot take away.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::inode::Inode;
use crate::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) u64);

const ROOT: NodeId = NodeId(0);

/// One name in one directory, whatever that directory is called now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) directory: NodeId,
    pub(super) name: String,
}

pub(super) enum Node {
    File(Inode),
    Directory(Entries),
}

/// A directory's two layers.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) current: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

/// A change of names that a crash may undo until its directory is synced.
enum Change {
    Link { slot: Slot, node: NodeId },
    Unlink { slot: Slot },
    Rename { from: Slot, to: Slot, node: NodeId },
}

pub(super) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    next: u64,
    /// In the order they were made.
    pending: Vec<Change>,
    /// Open handles by file: an unlinked file lives as long as one.
    handles: BTreeMap<NodeId, usize>,
}

impl Tree {
    pub(super) fn new() -> Tree {
        let nodes = BTreeMap::from([(ROOT, Node::Directory(Entries::default()))]);
        Tree {
            nodes,
            next: 1,
            pending: Vec::new(),
            handles: BTreeMap::new(),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in names(path)? {
            at = *self
                .directory(at)?
                .current
                .get(name)
                .ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// Where a path's last name stands, whether or not anything has it.
    pub(super) fn slot(&self, path: &Path) -> io::Result<Slot> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(io::ErrorKind::IsADirectory)?;
        let mut directory = ROOT;
        for name in names {
            directory = *self
                .directory(directory)?
                .current
                .get(name)
                .ok_or(io::ErrorKind::NotFound)?;
        }
        self.directory(directory)?;
        Ok(Slot {
            directory,
            name: name.to_owned(),
        })
    }

    pub(super) fn get(&self, slot: &Slot) -> Option<NodeId> {
        self.directory(slot.directory)
            .ok()?
            .current
            .get(&slot.name)
            .copied()
    }

    pub(super) fn directory(&self, node: NodeId) -> io::Result<&Entries> {
        match self.nodes.get(&node) {
            Some(Node::Directory(entries)) => Ok(entries),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn node(&self, node: NodeId) -> &Node {
        self.nodes
            .get(&node)
            .expect("a node lives while a name or handle leads to it")
    }

    pub(super) fn file(&mut self, node: NodeId) -> io::Result<&mut Inode> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(inode)) => Ok(inode),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn files(&mut self) -> impl Iterator<Item = &mut Inode> {
        self.nodes.values_mut().filter_map(|node| match node {
            Node::File(inode) => Some(inode),
            Node::Directory(_) => None,
        })
    }

    pub(super) fn create(&mut self, slot: Slot, node: Node) -> NodeId {
        let id = NodeId(self.next);
        self.next += 1;
        self.nodes.insert(id, node);
        self.change(Change::Link { slot, node: id });
        id
    }

    pub(super) fn unlink(&mut self, slot: Slot) {
        self.change(Change::Unlink { slot });
        self.forget_unreachable();
    }

    /// Takes away a directory's names one by one, then its own.
    pub(super) fn remove_all(&mut self, slot: Slot) {
        if let Some(node) = self.get(&slot)
            && let Ok(entries) = self.directory(node)
        {
            for name in entries.current.keys().cloned().collect::<Vec<_>>() {
                self.remove_all(Slot {
                    directory: node,
                    name,
                });
            }
        }
        self.unlink(slot);
    }

    pub(super) fn rename(&mut self, from: Slot, to: Slot) -> io::Result<()> {
        let node = self.get(&from).ok_or(io::ErrorKind::NotFound)?;
        if from == to {
            return Ok(());
        }
        if let Some(replaced) = self.get(&to) {
            match (self.node(node), self.node(replaced)) {
                (Node::File(_), Node::Directory(_)) => {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                (Node::Directory(_), Node::File(_)) => {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                (_, Node::Directory(entries)) if !entries.current.is_empty() => {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                _ => {}
            }
        }
        self.change(Change::Rename { from, to, node });
        self.forget_unreachable();
        Ok(())
    }

    /// Makes a directory's changes durable, with those they build upon elsewhere.
    pub(super) fn sync(&mut self, directory: NodeId) -> io::Result<()> {
        self.directory(directory)?;
        let mut needed: BTreeSet<Slot> = BTreeSet::new();
        let mut chosen = vec![false; self.pending.len()];
        for (index, change) in self.pending.iter().enumerate().rev() {
            if change
                .slots()
                .any(|slot| slot.directory == directory || needed.contains(slot))
            {
                needed.extend(change.slots().cloned());
                chosen[index] = true;
            }
        }
        let mut chosen = chosen.into_iter();
        let (durable, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|_| chosen.next().unwrap_or(false));
        self.pending = pending;
        self.persist(durable);
        self.forget_unreachable();
        Ok(())
    }

    /// The power fails: every handle dies, and any of the pending changes may be undone, with
    /// those that build upon it.
    pub(super) fn crash(&mut self, rng: &Rng) {
        let keep = [0.0, 0.5, 1.0][rng.range(0..3) as usize];
        let mut undone: BTreeSet<Slot> = BTreeSet::new();
        let mut kept = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            if change.slots().any(|slot| undone.contains(slot)) || !rng.chance(keep) {
                undone.extend(change.slots().cloned());
            } else {
                kept.push(change);
            }
        }
        self.persist(kept);
        for node in self.nodes.values_mut() {
            match node {
                Node::File(inode) => inode.crash(rng),
                Node::Directory(entries) => entries.current = entries.durable.clone(),
            }
        }
        self.close_all();
    }

    /// The program dies, the machine does not: handles go, nothing else.
    pub(super) fn close_all(&mut self) {
        self.handles.clear();
        self.forget_unreachable();
    }

    pub(super) fn opened(&mut self, node: NodeId) {
        *self.handles.entry(node).or_default() += 1;
    }

    pub(super) fn closed(&mut self, node: NodeId) {
        if let Some(handles) = self.handles.get_mut(&node) {
            *handles -= 1;
            if *handles == 0 {
                self.handles.remove(&node);
                self.forget_unreachable();
            }
        }
    }

    /// Bytes in use by files that have a name or a handle.
    pub(super) fn used(&self) -> u64 {
        self.reach(false)
            .iter()
            .filter_map(|node| match self.nodes.get(node) {
                Some(Node::File(inode)) => Some(super::inode::rounded(inode.reserved())),
                _ => None,
            })
            .sum()
    }

    fn change(&mut self, change: Change) {
        self.apply(&change, |entries| &mut entries.current);
        self.pending.push(change);
    }

    fn persist(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.apply(&change, |entries| &mut entries.durable);
        }
    }

    fn apply(&mut self, change: &Change, layer: fn(&mut Entries) -> &mut BTreeMap<String, NodeId>) {
        let mut set = |slot: &Slot, node: Option<NodeId>| {
            // A directory that is gone for good needs no entries.
            if let Some(Node::Directory(entries)) = self.nodes.get_mut(&slot.directory) {
                match node {
                    Some(node) => layer(entries).insert(slot.name.clone(), node),
                    None => layer(entries).remove(&slot.name),
                };
            }
        };
        match change {
            Change::Link { slot, node } => set(slot, Some(*node)),
            Change::Unlink { slot } => set(slot, None),
            Change::Rename { from, to, node } => {
                set(from, None);
                set(to, Some(*node));
            }
        }
    }

    /// What names and handles lead to; by `ever`, also what a crash could bring back.
    fn reach(&self, ever: bool) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        let mut next: Vec<NodeId> = self.handles.keys().copied().chain([ROOT]).collect();
        if ever {
            next.extend(self.pending.iter().filter_map(Change::node));
            next.extend(
                self.pending
                    .iter()
                    .flat_map(Change::slots)
                    .map(|slot| slot.directory),
            );
        }
        while let Some(node) = next.pop() {
            if found.insert(node)
                && let Some(Node::Directory(entries)) = self.nodes.get(&node)
            {
                next.extend(entries.current.values());
                if ever {
                    next.extend(entries.durable.values());
                }
            }
        }
        found
    }

    fn forget_unreachable(&mut self) {
        let reached = self.reach(true);
        self.nodes.retain(|node, _| reached.contains(node));
    }
}

impl Change {
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let (one, other) = match self {
            Change::Link { slot, .. } | Change::Unlink { slot } => (slot, None),
            Change::Rename { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(one).chain(other)
    }

    fn node(&self) -> Option<NodeId> {
        match self {
            Change::Link { node, .. } | Change::Rename { node, .. } => Some(*node),
            Change::Unlink { .. } => None,
        }
    }
}

/// A path's names from the root; the working directory is the root.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                names.push(name.to_str().ok_or(io::ErrorKind::InvalidFilename)?)
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidFilename.into());
            }
        }
    }
    Ok(names)
}

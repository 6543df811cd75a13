//! Builds WebAssembly from source, into the user's cache, and says so.
//!
//! `$MILLSTREAM_CACHE`, else `$XDG_CACHE_HOME/millstream`, else `~/.cache/millstream`;
//! in it the folder `functions`. A second run finds everything built.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const WASM: &str = "wasm32-unknown-unknown";

/// The module of a Rust crate, as cargo leaves it.
pub fn rust(source: &Path, name: &str) -> Vec<u8> {
    let (cache, _lock) = cache();
    let sysroot =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", WASM]));
    if !Path::new(sysroot.trim()).exists() {
        say(&format!("rustup target add {WASM}"));
        output(Command::new("rustup").args(["target", "add", WASM]));
    }
    let target = cache.join("rust");
    say(&format!(
        "cargo build --release --target {WASM} in {}",
        source.display()
    ));
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--target", WASM, "--target-dir"]);
    command.arg(&target).current_dir(source);
    if source.join("Cargo.lock").exists() {
        command.arg("--locked");
    }
    output(
        command
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS"),
    );
    read(
        &target
            .join(WASM)
            .join("release")
            .join(format!("{name}.wasm")),
    )
}

/// The module of a Go package.
pub fn go(source: &Path) -> Vec<u8> {
    let (cache, _lock) = cache();
    let module = cache.join("go.wasm");
    say(&format!("GOOS=wasip1 go build in {}", source.display()));
    output(
        Command::new("go")
            .args(["build", "-trimpath", "-buildmode=c-shared", "-o"])
            .arg(&module)
            .arg(".")
            .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOFLAGS", "")])
            .current_dir(source),
    );
    read(&module)
}

/// The module of an AssemblyScript package, built in a copy: npm writes where it works.
pub fn assemblyscript(source: &Path) -> Vec<u8> {
    let (cache, _lock) = cache();
    let copy = cache.join("assemblyscript");
    for file in [
        "package.json",
        "package-lock.json",
        "assembly/index.ts",
        "assembly/block.ts",
    ] {
        let place = copy.join(file);
        fs::create_dir_all(place.parent().expect("a file has a folder"))
            .expect("the cache is writable");
        fs::copy(source.join(file), place).expect("the example has this file");
    }
    if !same(
        &copy.join("package-lock.json"),
        &copy.join("installed.json"),
    ) {
        say(&format!("npm ci (assemblyscript) in {}", copy.display()));
        output(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&copy),
        );
        fs::copy(copy.join("package-lock.json"), copy.join("installed.json"))
            .expect("the cache is writable");
    }
    say(&format!("npm run build in {}", copy.display()));
    output(
        Command::new("npm")
            .args(["run", "build"])
            .current_dir(&copy),
    );
    read(&copy.join("build/haversine.wasm"))
}

/// `examples/functions/<name>`.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/functions")
        .join(name)
}

/// `tests/guests/<name>` of this crate.
pub fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/guests")
        .join(name)
}

/// The folder, held by this process alone until the lock is dropped.
fn cache() -> (PathBuf, File) {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let root = folder("MILLSTREAM_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("millstream")))
        .or_else(|| Some(folder("HOME")?.join(".cache/millstream")))
        .expect("MILLSTREAM_CACHE or HOME is set")
        .join("functions");
    fs::create_dir_all(&root).expect("the cache can be made");
    let lock = File::create(root.join("lock")).expect("the cache is writable");
    lock.lock().expect("the cache can be locked");
    (root, lock)
}

fn same(left: &Path, right: &Path) -> bool {
    fs::read(left)
        .ok()
        .is_some_and(|bytes| fs::read(right).ok() == Some(bytes))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn output(command: &mut Command) -> String {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        done.status.success(),
        "{command:?} failed:\n{}{}",
        text(done.stdout),
        text(done.stderr)
    );
    text(done.stdout)
}

fn say(what: &str) {
    eprintln!("functions: {what}");
}

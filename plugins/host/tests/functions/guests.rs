//! Small modules written as text, for tests that need one to misbehave in one way.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use plugin_host::{Error, ScalarFunction, Settings, Signature};

use crate::house::House;

/// Limits that end a test soon and leave a busy machine time to breathe.
pub fn tight() -> Settings {
    Settings {
        deadline_ms: 300,
        start_deadline_ms: 1_000,
        memory_bytes: 8 << 20,
        result_bytes: 1 << 20,
        ..Settings::default()
    }
}

pub fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the test's module is well formed")
}

/// A core module that hands out memory from 1,024 on, plus `items`.
pub fn core(items: &str) -> Vec<u8> {
    wasm(&format!(
        r#"(module
            (memory (export "memory") 2)
            (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
            {items})"#
    ))
}

/// A core module whose `mr_eval` has this body; parameters are $at and $bytes.
pub fn evaluating(body: &str) -> Vec<u8> {
    core(&format!(
        r#"(func $eval (export "mr_eval") (param $at i32) (param $bytes i32) (result i64) {body})"#
    ))
}

/// Answers its argument: a request of one column is a valid reply.
pub const ECHO: &str = "(i64.or
    (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
    (i64.extend_i32_u (local.get $bytes)))";

/// `f(BIGINT) RETURNS BIGINT` of a core module.
pub fn bigint_function(house: &House, bytes: &[u8]) -> ScalarFunction {
    let module = house
        .host
        .compile(bytes)
        .expect("the module passes the door");
    let declared = Signature::new("f", vec![DataType::Int64], DataType::Int64);
    module
        .scalar("f", &declared)
        .expect("a core module takes the declaration's word")
}

pub fn bigints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// The host still compiles and runs other functions.
#[track_caller]
pub fn assert_unharmed(house: &House) {
    let echo = bigint_function(house, &evaluating(ECHO));
    let column = echo.call(&[bigints([7, 8])], 2).expect("echo answers");
    assert_eq!(column.as_primitive::<Int64Type>().values(), &[7, 8]);
}

/// A component around a core module that follows the canonical ABI of `scalar`.
pub fn component(core: &str) -> Vec<u8> {
    let mut bytes = wasm(core);
    let mut resolve = wit_parser::Resolve::default();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve
        .push_dir(contract)
        .expect("the contract is well formed");
    let world = resolve
        .select_world(&[package], Some("scalar-function"))
        .expect("the contract has the world");
    wit_component::embed_component_metadata(
        &mut bytes,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .expect("the module has room for a section");
    bytes
}

/// Little-endian words as a WAT string.
pub fn words(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    bytes.map(|byte| format!("\\{byte:02x}")).collect()
}

/// A component that describes `f() RETURNS BIGINT`; `answer` lies at 1,024.
pub fn scalar_component(imports: &str, eval: &str, answer: &[u32]) -> Vec<u8> {
    // signature at 64: name, args, returns, state, three flags; field at 128: name, type.
    let signature = words(&[32, 1, 0, 0, 128, 1, 0, 0, 0x0101]);
    component(&format!(
        r#"(module
            {imports}
            (memory (export "memory") 17)
            (data (i32.const 16) "{}")
            (data (i32.const 32) "f")
            (data (i32.const 64) "{signature}")
            (data (i32.const 128) "{}")
            (data (i32.const 1024) "{}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
            (func (export "millstream:udf/scalar@1.0.0#describe") (result i32) (i32.const 16))
            (func $eval (export "millstream:udf/scalar@1.0.0#eval")
                (param i32 i32 i32 i32) (result i32) {eval}))"#,
        words(&[64, 1]),
        words(&[32, 1, 2, 0, 0]),
        words(answer),
    ))
}

/// An `ok` column: type, rows, no validity, buffers of this kind.
pub fn column(ty: u32, rows: u32, buffers: u32, data: [u32; 4]) -> Vec<u32> {
    let [a, b, c, d] = data;
    vec![0, ty, 0, 0, rows, 0, 0, 0, buffers, a, b, c, d]
}

/// Why the host refuses these bytes.
#[track_caller]
pub fn refusal(house: &House, bytes: &[u8]) -> Error {
    house
        .host
        .compile(bytes)
        .expect_err("the module is refused")
}

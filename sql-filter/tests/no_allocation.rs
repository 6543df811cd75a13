//! Asking a filter about a message takes no memory, whatever the expression.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sql_filter::Filter;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts how often a thread asks for memory.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PROPERTIES: &[(&str, &str)] = &[
    ("a", "5"),
    ("b", "y"),
    ("d", "5.5"),
    ("hex", "0x1.8p1"),
    ("long", "3000000000"),
];

#[test]
fn an_evaluation_allocates_nothing() {
    for expression in [
        "a > 5 AND b IN ('x','y')",
        "a >= 5 AND b IN ('1','2','3','4','5','6','7','8','9','y')",
        "NOT (a = 6) AND (d > 5.0 OR x IS NOT NULL)",
        "a BETWEEN 1 AND 9 AND d NOT BETWEEN 7.5 AND 9.5",
        "b CONTAINS 'y' AND b STARTSWITH 'y' AND b ENDSWITH 'y'",
        "hex = 3.0 AND long = 3000000000 AND a < d",
        "b > 5",
        "-a IS NULL AND (a = 5) = TRUE",
    ] {
        let filter = Filter::parse(expression).expect("the expression parses");
        let before = ALLOCATIONS.with(Cell::get);
        filter.matches(PROPERTIES);
        assert_eq!(ALLOCATIONS.with(Cell::get), before, "{expression}");
    }
}

#[test]
fn the_count_can_tell() {
    let before = ALLOCATIONS.with(Cell::get);
    let text = String::from("x");
    assert!(ALLOCATIONS.with(Cell::get) > before, "{text}");
}

//! No text makes the parser or the evaluation panic, however long or deep it is.

use proptest::prelude::*;
use sql_filter::{Filter, ParseError};

const PROPERTIES: &[(&str, &str)] = &[("a", "5"), ("b", "y"), ("c", "")];

fn judge(text: &str) -> Result<bool, ParseError> {
    let judged = Filter::parse(text).map(|filter| filter.matches(PROPERTIES));
    if let Err(error) = &judged {
        assert!(!error.to_string().is_empty());
    }
    judged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_judged_or_refused(text in ".{0,120}") {
        let _ = judge(&text);
    }

    #[test]
    fn any_row_of_tokens_is_judged_or_refused(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "x", "5", "5.5", "0", "9223372036854775808", "1e400", "'y'", "''", "'",
                "(", ")", ",", "=", "<>", "<", "<=", ">", ">=", "+", "-", "NOT", "AND", "OR", "IS",
                "NULL", "TRUE", "FALSE", "IN", "BETWEEN", "CONTAINS", "STARTSWITH", "ENDSWITH",
                "--", "/*", "*/", "\n", "!", "é", ".",
            ]),
            0..25,
        ),
        gap in prop::sample::select(vec!["", " "]),
    ) {
        let _ = judge(&tokens.join(gap));
    }
}

/// Runs on a small stack, in which unbounded recursion would not survive.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    #[allow(clippy::disallowed_methods)]
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work);
    thread
        .expect("a thread starts")
        .join()
        .expect("the stack sufficed");
}

#[test]
fn deep_nesting_is_an_error_not_an_overflow() {
    on_a_small_stack(|| {
        let many = 100_000;
        for (open, close) in [
            ("(", ")"),
            ("NOT ", ""),
            ("- ", ""),
            ("+ ", ""),
            ("NOT (", ")"),
            ("-(", ")"),
        ] {
            let text = format!("{}a = 5{}", open.repeat(many), close.repeat(many));
            let error = judge(&text).expect_err("nobody nests so deep");
            assert!(
                error.message().contains("nested deeper"),
                "{}",
                error.message()
            );
        }
        for link in [" IS NULL", " = 5", " <> b", " CONTAINS 'a'"] {
            let text = format!("a{}", link.repeat(many));
            let error = judge(&text).expect_err("nobody chains so much");
            assert!(
                error.message().contains("nested deeper"),
                "{}",
                error.message()
            );
        }
    });
}

#[test]
fn nesting_within_the_limit_is_judged() {
    on_a_small_stack(|| {
        for (open, close) in [
            ("(", ")"),
            ("NOT ((", "))"),
            ("NOT NOT (", ")"),
            ("(x = 1 OR ", ")"),
        ] {
            let text = format!("{}a = 5{}", open.repeat(80), close.repeat(80));
            assert_eq!(judge(&text), Ok(true), "{open}");
        }
    });
}

#[test]
fn long_runs_are_not_deep() {
    on_a_small_stack(|| {
        let text = format!("{}a = 5", "a = 6 OR ".repeat(20_000));
        assert_eq!(judge(&text), Ok(true));
        let text = format!("{}a = 5", "b = 'y' AND ".repeat(20_000));
        assert_eq!(judge(&text), Ok(true));
        let text = format!("b IN ({}'y')", "'z',".repeat(50_000));
        assert_eq!(judge(&text), Ok(true));
    });
}

//! The filter language by its rules, one row each.

use sql_filter::Filter;

/// What an expression does with the message of [`PROPERTIES`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The message passes.
    Passes,
    /// It does not, and neither does it pass the negation: the result is unknown or impossible.
    Undecided,
    /// It does not, and it passes the negation.
    Fails,
    /// The expression is an error.
    Refused,
}
use Outcome::{Fails, Passes, Refused, Undecided};

/// `x` and `y` are absent.
const PROPERTIES: &[(&str, &str)] = &[
    ("a", "5"),
    ("b", "y"),
    ("d", "5.5"),
    ("e", "word"),
    ("f", ""),
    ("big", "3000000000"),
    ("t", "true"),
    ("T", "TRUE"),
    ("quote", "it's"),
    ("TAGS", "TagA"),
    ("p10", "10"),
    ("hex", " 0x1.8p1 "),
    ("nan", "NaN"),
    ("zero", "0.0"),
    ("minus_zero", "-0.0"),
];

fn outcome(expression: &str) -> Outcome {
    let Ok(filter) = Filter::parse(expression) else {
        return Refused;
    };
    if filter.matches(PROPERTIES) {
        return Passes;
    }
    let negation = Filter::parse(&format!("NOT ({expression}\n)"));
    match negation {
        Ok(negation) if negation.matches(PROPERTIES) => Fails,
        _ => Undecided,
    }
}

/// One row per statement of the language; the comment names what it is about.
const ROWS: &[(&str, Outcome)] = &[
    // What cannot go on ends the expression, and the rest is ignored.
    ("a = 5 garbage", Passes),
    ("a LIKE '5%'", Undecided),
    ("a + 1 = 6", Undecided),
    ("a-b = 1", Undecided),
    ("a = 05", Undecided),
    ("zero = 05.0", Fails),
    ("a = 5 garbage !", Passes),
    ("a = 5 !", Refused),
    ("a = 5 NOT x", Refused),
    ("a = 5 IS x", Refused),
    ("a = 5)", Passes),
    ("(a = 5", Refused),
    ("", Refused),
    ("()", Refused),
    // NOT binds tighter than a comparison.
    ("NOT a = 5", Fails),
    ("NOT a > 5", Refused),
    ("NOT (a = 5)", Fails),
    ("NOT (a = 6)", Passes),
    ("NOT NOT (a = 5)", Passes),
    // Precedence: OR, AND, equality, comparison, unary.
    ("a = 5 OR a = 6 AND b = 'z'", Passes),
    ("(a = 5 OR a = 6) AND b = 'z'", Fails),
    ("a > 4 = TRUE", Passes),
    ("TRUE = a > 4", Passes),
    ("a = 5 = TRUE", Passes),
    // Lists and string operators take strings, and IN a property.
    ("NOT a IN ('5')", Refused),
    ("a IN (5)", Refused),
    ("'5' IN ('5')", Refused),
    ("a IN ()", Refused),
    ("a CONTAINS 5", Refused),
    ("a CONTAINS b", Refused),
    ("'word' CONTAINS 'or'", Passes),
    // The whole must be a condition.
    ("a", Fails),
    ("5", Refused),
    ("'a'", Refused),
    ("-a", Refused),
    ("a AND 5", Refused),
    ("TRUE", Passes),
    ("FALSE", Fails),
    ("NULL", Undecided),
    ("tRuE", Passes),
    // Tokens.
    ("a /* c */ = -- c\n 5", Passes),
    ("a = 5 --", Passes),
    ("a = 5 /* c", Refused),
    ("a\t=\r\n\u{c}5", Passes),
    ("a\u{b}= 5", Refused),
    ("quote = 'it''s'", Passes),
    ("quote = 'it's'", Undecided),
    ("quote = 'it", Refused),
    ("a = 5L", Passes),
    ("a = 5l", Passes),
    ("a = 5d", Passes),
    ("a = 0x5", Undecided),
    ("d = 5.5", Passes),
    ("d = .55e1", Passes),
    ("d = 55E-1", Passes),
    ("d >= 5.", Passes),
    ("\"a\" = 5", Refused),
    ("`a` = 5", Refused),
    ("a.b = 5", Refused),
    ("a != 6", Refused),
    ("a == 5", Refused),
    ("ä = 5", Refused),
    ("p10 = 10", Passes),
    // Numbers that can be written.
    ("big = 3000000000", Passes),
    ("big < 9223372036854775807", Passes),
    ("big < 9223372036854775808", Refused),
    ("big > -9223372036854775808", Refused),
    ("d > 0.0", Refused),
    ("d > 0e0", Refused),
    ("d > 1e400", Refused),
    ("d > 1e-400", Refused),
    ("d > 4.9e-324", Passes),
    ("a > -5", Passes),
    ("a = - -5", Passes),
    ("a = +5", Passes),
    ("+a = 5", Passes),
    ("-a = 5", Undecided),
    ("-a IS NULL", Passes),
    // Property names are case sensitive; all properties of a message are seen.
    ("A = 5", Undecided),
    ("TAGS = 'TagA'", Passes),
    ("tags = 'TagA'", Undecided),
    // Three-valued logic.
    ("x = 5 OR a = 5", Passes),
    ("a = 5 OR x = 5", Passes),
    ("x = 5 OR a = 6", Undecided),
    ("x = 5 AND a = 6", Fails),
    ("a = 6 AND x = 5", Fails),
    ("x = 5 AND a = 5", Undecided),
    ("NOT (x = 5)", Undecided),
    ("a = 6 OR x = 5 OR a = 5", Passes),
    ("a = 5 AND x = 5 AND a = 6", Fails),
    // A property as a truth value is false, whatever it says, and unknown when absent.
    ("t", Fails),
    ("NOT t", Passes),
    ("NOT x", Undecided),
    ("t OR a = 5", Passes),
    ("t AND a = 5", Fails),
    // What cannot be compared fails the whole, unless it is not reached.
    ("e > 3 OR a = 5", Undecided),
    ("a = 5 OR e > 3", Passes),
    ("a = 6 AND e > 3", Fails),
    ("NOT (e > 3)", Undecided),
    // Equality.
    ("x = 'q'", Undecided),
    ("x <> 'q'", Undecided),
    ("'q' = x", Fails),
    ("'q' <> x", Passes),
    ("x = y", Passes),
    ("x <> y", Fails),
    ("x = NULL", Refused),
    ("NULL = x", Refused),
    ("x <> NULL", Refused),
    ("a = '5'", Passes),
    ("a = '5.0'", Fails),
    ("d = '5.50'", Fails),
    ("(a = 5) = TRUE", Passes),
    ("(a = 6) = TRUE", Fails),
    ("(a = 5) <> FALSE", Passes),
    ("t = TRUE", Passes),
    ("T = TRUE", Passes),
    ("e = TRUE", Fails),
    ("e = FALSE", Passes),
    ("TRUE = t", Undecided),
    ("TRUE = 5", Refused),
    ("TRUE = 'true'", Refused),
    ("5 = TRUE", Fails),
    ("(a = 5) = 5", Fails),
    ("(a = 5) <> 5", Passes),
    ("x IS NULL", Passes),
    ("x IS NOT NULL", Fails),
    ("a IS NULL", Fails),
    ("a IS NOT NULL", Passes),
    ("f IS NULL", Fails),
    ("a IS garbage", Refused),
    ("5 IS NULL", Fails),
    ("NULL IS NULL", Passes),
    // Order.
    ("a > 'x'", Refused),
    ("'x' < a", Refused),
    ("a > 1 > 2", Refused),
    ("x > (y = 1)", Refused),
    ("a > TRUE", Refused),
    ("a > NULL", Refused),
    ("a > -'x'", Undecided),
    ("x > 5", Undecided),
    ("a > x", Undecided),
    ("a >= 5", Passes),
    ("a <= 5", Passes),
    ("a > 5", Fails),
    ("a < 5", Fails),
    ("d > a", Passes),
    ("a < p10", Passes),
    ("e > a", Undecided),
    ("5 < 6", Passes),
    ("5 < 5.5", Passes),
    ("nan > p10", Passes),
    ("minus_zero < zero", Passes),
    // A property is read as what it is compared with.
    ("d > 3", Undecided),
    ("big > 3", Undecided),
    ("f > 3", Undecided),
    ("d > 3.0", Passes),
    ("a > 3.0", Passes),
    ("big > 3.0", Passes),
    ("big > 2999999999", Passes),
    ("a < 2999999999", Passes),
    ("d < 2999999999", Undecided),
    ("hex = 3.0", Passes),
    ("hex = 3", Undecided),
    ("zero = 0", Undecided),
    // BETWEEN.
    ("a BETWEEN 5 AND 6", Passes),
    ("a BETWEEN 1 AND 5", Passes),
    ("a BETWEEN 6 AND 7", Fails),
    ("a NOT BETWEEN 6 AND 7", Passes),
    ("a NOT BETWEEN 1 AND 5", Fails),
    ("x BETWEEN 1 AND 2", Undecided),
    ("a BETWEEN 6 AND 5", Refused),
    ("a BETWEEN 6 AND 5.5", Refused),
    ("a NOT BETWEEN 6 AND 5", Passes),
    ("a BETWEEN NULL AND 5", Refused),
    ("a BETWEEN 1 AND NULL", Refused),
    ("a BETWEEN '1' AND '9'", Refused),
    ("a BETWEEN -1 AND +9", Passes),
    ("a BETWEEN x AND 3", Fails),
    ("a BETWEEN 1 AND p10", Passes),
    ("d BETWEEN 1 AND 9", Undecided),
    ("a BETWEEN 1 OR 9", Refused),
    // IN.
    ("b IN ('x', 'y')", Passes),
    ("b IN ('x')", Fails),
    ("b IN ('Y')", Fails),
    ("b NOT IN ('x')", Passes),
    ("b NOT IN ('y')", Fails),
    ("x IN ('x')", Undecided),
    ("x NOT IN ('x')", Undecided),
    ("b IN ('1','2','3','4','5','6','7','8','9','y')", Passes),
    ("b NOT IN ('1','2','3','4','5','6','7','8','9','z')", Passes),
    ("f IN ('')", Passes),
    // CONTAINS, STARTSWITH, ENDSWITH.
    ("e CONTAINS 'or'", Passes),
    ("e CONTAINS 'OR'", Fails),
    ("e STARTSWITH 'wo'", Passes),
    ("e ENDSWITH 'rd'", Passes),
    ("e STARTSWITH 'rd'", Fails),
    ("e NOT CONTAINS 'or'", Fails),
    ("e NOT CONTAINS 'z'", Passes),
    ("e NOT STARTSWITH 'rd'", Passes),
    ("e NOT ENDSWITH 'wo'", Passes),
    ("x CONTAINS 'or'", Fails),
    ("x NOT CONTAINS 'or'", Fails),
    ("e CONTAINS ''", Fails),
    ("e NOT CONTAINS ''", Fails),
    ("5 CONTAINS '5'", Fails),
    ("5 NOT CONTAINS '5'", Fails),
    ("(e > 3) CONTAINS ''", Fails),
    ("(e > 3) CONTAINS 'a'", Undecided),
];

#[test]
fn the_language_is_rocketmqs() {
    let wrong: Vec<String> = ROWS
        .iter()
        .map(|&(expression, expected)| (expression, expected, outcome(expression)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(expression, expected, found)| format!("{expression}: {expected:?}, was {found:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_shows_its_place() {
    for (expression, expected) in [
        (
            "a =",
            "expected a value, found the end at line 1, column 4\n  a =\n     ^",
        ),
        (
            "a > 5 AND\nb IN (5)",
            "expected a string in single quotes, found 5 at line 2, column 7\n  b IN (5)\n        ^",
        ),
        (
            "a = NULL",
            "NULL equals nothing; use IS NULL or IS NOT NULL at line 1, column 5\n  a = NULL\n      ^",
        ),
        (
            "(a = 5",
            "expected a closing parenthesis, found the end at line 1, column 7\n  (a = 5\n        ^",
        ),
        (
            "a != 5",
            "this character has no meaning here at line 1, column 3\n  a != 5\n    ^",
        ),
    ] {
        let error = Filter::parse(expression).expect_err("the expression is wrong");
        assert_eq!(error.to_string(), expected);
    }
}

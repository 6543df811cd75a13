//! Where Millstream answers otherwise than Kafka Connect 3.9, and why.

pub struct Deviation {
    /// The request's title.
    pub request: &'static str,
    /// Kafka's code and Millstream's.
    pub codes: (u16, u16),
    pub why: &'static str,
}

const CALLERS_MISTAKE: &str =
    "the body is the caller's mistake, and 500 sends people to the server's log";
const NO_SUCH_CLASS: &str = "the class is one finding beside the others, and a caller's mistake";
const NO_SUCH_CONNECTOR: &str = "what is not there is 404 wherever it is asked for";

const NO_SUCH_PLACE: &str = "the position is the caller's mistake, and 500 would be ours";

const fn deviation(request: &'static str, codes: (u16, u16), why: &'static str) -> Deviation {
    Deviation {
        request,
        codes,
        why,
    }
}

#[rustfmt::skip]
pub const DEVIATIONS: &[Deviation] = &[
    deviation("POST /connectors with an unknown class", (500, 400), NO_SUCH_CLASS),
    deviation("POST /connectors with half a body", (500, 400), CALLERS_MISTAKE),
    deviation("POST /connectors with a list for a body", (500, 400), CALLERS_MISTAKE),
    deviation("POST /connectors with a list for a value", (500, 400), CALLERS_MISTAKE),
    deviation("POST /connectors with no configuration", (500, 400), CALLERS_MISTAKE),
    deviation("POST /connectors with a field there is not", (500, 400), CALLERS_MISTAKE),
    deviation("POST /connectors with a state there is not", (500, 400), CALLERS_MISTAKE),
    deviation("PUT /connectors/in/config with words for a body", (500, 400), CALLERS_MISTAKE),
    deviation("PUT /connectors/in/config with an unknown class", (500, 400), NO_SUCH_CLASS),
    deviation("PUT /connector-plugins/FileStreamSourceConnector/config/validate with half a body", (500, 400), CALLERS_MISTAKE),
    deviation("PUT /connector-plugins/FileStreamSourceConnector/config/validate with no class", (500, 400), "Kafka means 400 and wraps it in another error"),
    deviation("PUT /connector-plugins/nothing/config/validate with its class", (500, 404), "as GET …/config, where Kafka answers 404 too"),
    deviation("POST /connectors/in/restart?includeTasks=true&onlyFailed=false", (202, 202), "the states of a moment: Kafka tells RESTARTING before it begins"),
    deviation("PATCH /connectors/in/offsets to no number", (500, 400), NO_SUCH_PLACE),
    deviation("PATCH /connectors/in/offsets to a number below 0", (500, 400), NO_SUCH_PLACE),
    deviation("PATCH /connectors/in/offsets to something else", (500, 400), NO_SUCH_PLACE),
    deviation("PATCH /connectors/in/offsets of something else", (500, 400), NO_SUCH_PLACE),
    deviation("PATCH /connectors/in/offsets of another file", (200, 400), "Kafka keeps it, and no task ever looks at it"),
    deviation("PATCH /connectors/in/offsets of nothing", (500, 400), NO_SUCH_PLACE),
    deviation("PATCH /connectors/in/offsets with a word", (500, 400), CALLERS_MISTAKE),
    deviation("PATCH /connectors/in/offsets with half a body", (500, 400), CALLERS_MISTAKE),
    deviation("PATCH /connectors/in/offsets with a field there is not", (500, 400), CALLERS_MISTAKE),
    deviation("PATCH /connectors/out/offsets of no queue there is", (500, 400), NO_SUCH_PLACE),
    deviation("POST /connectors with Kafka's file sink", (201, 400), "it appends to one file, and ours writes many so that each record is there once"),
    deviation("PUT /admin/loggers/org.apache.kafka", (200, 404), "Kafka makes any logger up; here one is a module, and this can be none"),
    deviation("POST /connectors/in/tasks between workers", (500, 405), "Kafka's workers speak so among themselves, and a standalone one refuses; nobody does here"),
    deviation("PUT /connectors/in/fence", (500, 404), "Kafka's workers speak so among themselves, and a standalone one refuses; nobody does here"),
    deviation("GET /connectors/no/topics", (200, 404), NO_SUCH_CONNECTOR),
    deviation("PUT /connectors/no/topics/reset", (202, 404), NO_SUCH_CONNECTOR),
    deviation("POST /connectors/no/restart", (500, 404), NO_SUCH_CONNECTOR),
    deviation("PUT /connectors/no/stop", (500, 404), NO_SUCH_CONNECTOR),
    deviation("POST /connectors/no/tasks/0/restart", (500, 404), NO_SUCH_CONNECTOR),
];

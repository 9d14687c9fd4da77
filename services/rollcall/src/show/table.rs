//! Tables: cut to the terminal's width, whole when piped.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};

/// A table of these rows below these headings.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    // Trailing blanks make diffs and copies ugly.
    let mut text = table.lines().fold(String::new(), |mut all, line| {
        all.push_str(line.trim().trim_end());
        all.push('\n');
        all
    });
    if text.is_empty() {
        text.push('\n');
    }
    text
}

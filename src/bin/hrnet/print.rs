//! The results as tables for people.

use crate::recording::Method;
use crate::score::Errors;
use crate::summary::{Outcome, Results, Summary};

/// Heads of the columns behind the name.
pub const HEAD: [&str; 12] =
    ["n", "MAE", "RMSE", "MAPE %", "r", "SNR dB", "≤2", "≤5", "ok", "MAE ok", "≤5 ok", "false ok"];

/// Prints all tables of all windows.
pub fn print(results: &Results) {
    println!("errors in bpm; ok: share of seconds at status ok, and the errors of those;");
    println!("false ok: share of seconds at status ok where there is no pulse");
    for &window in &results.windows {
        println!("\nwindow {window} s");
        let width = name_width(results);
        print_head(width, "subject");
        for outcome in &results.outcomes {
            let summary = Summary::new(&[outcome], Method::Network, window);
            print_row(width, &outcome.recording.name, &summary);
        }
        println!();
        print_methods(width, "all", &results.all(), window);
        for key in &results.by {
            print_groups(results, key, width, window);
        }
        print_reliability(results, window);
    }
}

fn name_width(results: &Results) -> usize {
    let names = results.outcomes.iter().map(|o| o.recording.name.chars().count());
    names.max().unwrap_or(0).max("± over subjects".len())
}

fn print_head(width: usize, first: &str) {
    let cells: String = HEAD.iter().map(|h| format!(" {h:>8}")).collect();
    println!("{first:width$}{cells}");
}

/// Every method on the same subjects, with standard errors.
fn print_methods(width: usize, first: &str, outcomes: &[&Outcome], window: f64) {
    print_head(width, first);
    for method in Method::ALL {
        let summary = Summary::new(outcomes, method, window);
        print_row(width, method.name(), &summary);
        if summary.score.n > 0 {
            print_errors(width, "± of readings", &summary.score.se);
            print_errors(width, "± over subjects", &summary.se_subjects);
        }
    }
}

fn print_groups(results: &Results, key: &str, width: usize, window: f64) {
    println!();
    print_head(width, &format!("by {key}"));
    for (value, outcomes) in results.groups(key) {
        print_row(width, &value, &Summary::new(&outcomes, Method::Network, window));
    }
}

fn print_row(width: usize, name: &str, summary: &Summary) {
    let cells: String = cells(summary).iter().map(|c| format!(" {c:>8}")).collect();
    println!("{name:width$}{cells}");
}

/// What stands in the columns of [`HEAD`].
pub fn cells(summary: &Summary) -> [String; 12] {
    let score = &summary.score;
    [
        score.n.to_string(),
        number(score.mae),
        number(score.rmse),
        number(score.mape),
        correlation(score.r),
        number(score.snr),
        share(score.within2),
        share(score.within5),
        share(score.confident.coverage),
        number(score.confident.mae),
        share(score.confident.within5),
        share(summary.negative.ok),
    ]
}

fn print_errors(width: usize, name: &str, se: &Errors) {
    let [mae, rmse, mape, snr] = [se.mae, se.rmse, se.mape, se.snr].map(number);
    let cells = [mae, rmse, mape, correlation(se.r), snr];
    let cells: String = cells.iter().map(|c| format!(" {c:>8}")).collect();
    println!("{name:width$} {:>8}{cells}", "");
}

fn print_reliability(results: &Results, window: f64) {
    println!("\nconfidence        n   stated         right");
    for bin in results.reliability(window).iter().filter(|b| b.n > 0) {
        let (stated, observed) = (number(bin.stated), share(bin.observed));
        let to = bin.from + 0.1;
        println!("{:.1} to {to:.1} {:>8} {stated:>8} {observed:>13}", bin.from, bin.n);
    }
}

pub fn number(value: Option<f64>) -> String {
    value.map_or("–".into(), |v| format!("{v:.2}"))
}

/// r, which tells in its third digit.
pub fn correlation(value: Option<f64>) -> String {
    value.map_or("–".into(), |v| format!("{v:.3}"))
}

pub fn share(value: Option<f64>) -> String {
    value.map_or("–".into(), percent)
}

pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

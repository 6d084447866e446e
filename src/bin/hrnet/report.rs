//! The results as one HTML page with everything in it.

use std::fmt::Write;

use crate::figures;
use crate::plot::{Plot, escape};
use crate::print::{HEAD, cells, correlation, number, percent, share};
use crate::recording::Method;
use crate::score::{Errors, Pair};
use crate::summary::{Outcome, Results, Summary};

const STYLE: &str = include_str!("report.css");

/// The page; `about` says in a sentence what was run.
pub fn page(results: &Results, about: &str) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>hrnet evaluate</title>\n<style>\n{STYLE}</style></head><body>\n\
         <h1>Heart rate from video against a contact sensor</h1>\n<p>{}</p>\n",
        escape(about)
    );
    html += "<p>Errors in beats per minute (bpm), MAPE in % of the reference, SNR in dB. \
             “ok” is the share of seconds at status ok; the figures behind it are of those. \
             “False ok” is the share of seconds at status ok where there is no pulse: there \
             should be none. Small figures are standard errors: of readings, as if each were independent, and \
             over subjects (jackknife). \
             <span class=\"key\" style=\"background:var(--est)\"></span>network, status ok \
             <span class=\"key\" style=\"background:var(--weak)\"></span>network, not ok \
             <span class=\"key\" style=\"background:var(--ref)\"></span>contact sensor</p>\n";
    for &window in &results.windows {
        window_section(&mut html, results, window);
    }
    subject_sections(&mut html, results);
    html + "</body></html>\n"
}

fn window_section(html: &mut String, results: &Results, window: f64) {
    let _ = writeln!(html, "<h2>Window of {window} s</h2>");
    let all = results.all();
    let rows = Method::ALL.map(|m| (escape(m.name()), Summary::new(&all, m, window)));
    table(html, "method", &rows, true);
    let pairs = results.outcomes.iter().map(|o| o.pairs(Method::Network, window));
    let pairs: Vec<Pair> = pairs.collect::<Vec<_>>().concat();
    if pairs.is_empty() {
        html.push_str("<p>No reading with a reference.</p>\n");
    } else {
        summary_plots(html, results, window, &pairs);
    }
    for key in &results.by {
        let groups = results.groups(key).into_iter();
        let row = |(value, outcomes): (String, Vec<&Outcome>)| {
            (escape(&value), Summary::new(&outcomes, Method::Network, window))
        };
        table(html, &escape(key), &groups.map(row).collect::<Vec<_>>(), false);
    }
}

fn summary_plots(html: &mut String, results: &Results, window: f64, pairs: &[Pair]) {
    html.push_str("<div class=\"plots wide\">\n");
    figure(html, &figures::scatter(pairs), "Estimate against reference; on the line they agree.");
    figure(
        html,
        &figures::bland_altman(pairs),
        "Bland and Altman: bias, and the limits that hold 95 % of normal differences.",
    );
    figure(
        html,
        &figures::reliability(&results.reliability(window)),
        "Stated confidence against the share of readings within 5 bpm of a pulse that is there, with \
         95 % intervals (Wilson) and counts. On the line it is calibrated.",
    );
    figure(
        html,
        &figures::error_by_confidence(pairs),
        "Error by confidence, and the mean of each tenth. Errors of 20 bpm and more lie at the \
         edge.",
    );
    html.push_str("</div>\n");
}

fn figure(html: &mut String, plot: &Plot, caption: &str) {
    let svg = plot.svg();
    let _ = writeln!(html, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption));
}

/// One row a summary; `rows` carry their first cell as HTML.
fn table(html: &mut String, first: &str, rows: &[(String, Summary)], errors: bool) {
    let head: String = HEAD.iter().map(|h| format!("<th>{}</th>", escape(h))).collect();
    let _ = write!(html, "<div class=\"scroll\"><table><tr><th>{first}</th>{head}</tr>");
    for (name, summary) in rows {
        let _ = write!(html, "<tr><td>{name}</td>");
        for (i, cell) in cells(summary).iter().enumerate() {
            let small = if errors { small(summary, i) } else { String::new() };
            let _ = write!(html, "<td>{}{small}</td>", escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

/// The standard errors below the figure of column `i`.
fn small(summary: &Summary, i: usize) -> String {
    let of = |e: &Errors, over: &str| {
        let error = match i {
            1 => number(e.mae),
            2 => number(e.rmse),
            3 => number(e.mape),
            4 => correlation(e.r),
            5 => number(e.snr),
            _ => return String::new(),
        };
        format!("<small>± {error} {over}</small>")
    };
    of(&summary.score.se, "readings") + &of(&summary.se_subjects, "subjects")
}

fn subject_sections(html: &mut String, results: &Results) {
    let Some(&window) = results.windows.first() else { return };
    let _ = writeln!(html, "<h2>Subjects, window of {window} s</h2>");
    let row = |(i, o): (usize, &Outcome)| {
        let link = format!("<a href=\"#s{i}\">{}</a>", escape(&o.recording.name));
        (link, Summary::new(&[o], Method::Network, window))
    };
    table(
        html,
        "subject",
        &results.outcomes.iter().enumerate().map(row).collect::<Vec<_>>(),
        false,
    );
    for (i, outcome) in results.outcomes.iter().enumerate() {
        subject_section(html, i, outcome, window);
    }
}

fn subject_section(html: &mut String, i: usize, outcome: &Outcome, window: f64) {
    let recording = &outcome.recording;
    let _ = writeln!(html, "<h3 id=\"s{i}\">{}</h3>", escape(&recording.name));
    let summary = Summary::new(&[outcome], Method::Network, window);
    let line = match summary.negative.ok {
        Some(ok) => format!("No pulse; at status ok {} of the time.", percent(ok)),
        None => format!(
            "MAE {} bpm, SNR {} dB, status ok {} of the time.",
            number(summary.score.mae),
            number(summary.score.snr),
            share(summary.score.confident.coverage)
        ),
    };
    let attributes = recording.attributes.iter().map(|(k, v)| match v.as_f64() {
        Some(v) if v.fract() != 0.0 => format!("{k} {v:.4}"),
        _ => format!("{k} {}", v.as_str().map_or_else(|| v.to_string(), String::from)),
    });
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let _ = writeln!(html, "<p>{}<br>{}</p>", escape(&line), escape(&attributes));
    html.push_str("<div class=\"plots\">\n");
    let seconds = format!("The pulse's spectrum over {window} s, the sensor's rate marked.");
    let plots = [
        (figures::rates(outcome, window), "Rate over time; the bluer, the higher the confidence."),
        (figures::spectrum(outcome, window), &*seconds),
        (figures::waves(outcome, window), "Ten seconds of the pulse, band-passed 40 to 240 bpm."),
    ];
    for (plot, caption) in plots {
        match plot {
            Some(plot) => figure(html, &plot, caption),
            None => html.push_str("<p>No reading.</p>\n"),
        }
    }
    html.push_str("</div>\n");
}

"""The style sheet and the few lines of script that every page carries inside itself."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #faf9f6; --card: #fff; --ink: #1d1c1a; --muted: #6b6a66; --line: #e4e2dc; --accent: #0b6b75;
  --tint: #eef4f4; --good: #1d7a4d; --good-tint: #ebf5ef; --warning: #96520a; --warning-tint: #fcf2e3;
  --chart-ink: var(--ink); --chart-muted: var(--muted); --chart-line: var(--line);
  --series-1: #0072b2; --series-2: #d55e00; --series-3: #009e73; --series-4: #b4568f; --series-5: #b87700;
  --series-6: #3a9bd1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #151514; --card: #1e1e1c; --ink: #ecebe6; --muted: #a3a19a; --line: #35342f; --accent: #6cc5cf;
    --tint: #1b2627; --good: #74cf9f; --good-tint: #18261e; --warning: #f0b35e; --warning-tint: #2b2214;
    --series-1: #56aee6; --series-2: #f28a4b; --series-3: #35c79b; --series-4: #e293c2; --series-5: #e9b44c;
    --series-6: #9bd3f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
.wrap { max-width: 70rem; margin: 0 auto; padding: 3.5rem clamp(1rem, 4vw, 2.5rem) 5rem; }
header { margin-bottom: 2.25rem; }
h1 { font-size: clamp(1.9rem, 4.5vw, 2.7rem); line-height: 1.12; letter-spacing: -.025em; font-weight: 680; }
h2 { font-size: 1.35rem; line-height: 1.25; letter-spacing: -.012em; font-weight: 650; }
h3 { font-size: 1rem; font-weight: 620; }
h1, h2, h3 { margin: 0; text-wrap: balance; overflow-wrap: anywhere; }
header p {
  margin: .7rem 0 0; max-width: 46rem; color: var(--muted); font-size: 1.08rem; overflow-wrap: anywhere;
}
section { margin: 3rem 0 0; padding-top: 1.6rem; border-top: 1px solid var(--line); }
section > p:not(.notice), .lead {
  max-width: 46rem; margin: .5rem 0 0; color: var(--muted); overflow-wrap: anywhere;
}
section > h2 ~ * { margin-top: 1.1rem; }
section > h2 + .lead { margin-top: .4rem; }
section > h2 ~ .notice { margin: 1.1rem 0 0; }
h3 { margin: 1.6rem 0 .6rem; }
a { color: var(--accent); text-underline-offset: .18em; text-decoration-thickness: 1px; }
a:focus-visible, summary:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 4px;
}
figure { margin: 0; min-width: 0; }
img { display: block; max-width: 100%; height: auto; border-radius: 6px; background: var(--card); }
figcaption {
  margin-top: .35rem; color: var(--muted); font-size: .82rem; line-height: 1.35; overflow-wrap: anywhere;
}
.wide img { width: 100%; border: 1px solid var(--line); border-radius: 10px; }
.strip { overflow-x: auto; }
.strip img { width: 100%; min-width: 34rem; max-width: none; border: 1px solid var(--line); }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
.row > figure { flex: 0 1 9.5rem; }
.row img, .tiles img { width: 100%; border: 1px solid var(--line); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.7rem, 1fr)); gap: .8rem; }
.timeline {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1.4rem;
}
.timeline img { width: 100%; border: 1px solid var(--line); }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.2rem;
}
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.2rem;
  overflow-x: auto; min-width: 0;
}
.chart { display: block; width: 100%; height: auto; }
.stats {
  display: flex; flex-wrap: wrap; gap: 1px; margin: 0; background: var(--line);
  border: 1px solid var(--line); border-radius: 12px; overflow: hidden;
}
.stats > div { flex: 1 1 9rem; padding: .85rem 1.1rem; background: var(--card); }
.stats dt { color: var(--muted); font-size: .82rem; }
.stats dd {
  margin: .1rem 0 0; font-size: 1.3rem; line-height: 1.25; font-weight: 620; letter-spacing: -.01em;
  overflow-wrap: anywhere;
}
.stats dd small {
  display: block; color: var(--muted); font-size: .8rem; font-weight: 400; letter-spacing: 0;
}
.notice {
  --tone: var(--accent); margin: 0 0 1.1rem; padding: .8rem 1.1rem; border-left: 4px solid var(--tone);
  border-radius: 4px 10px 10px 4px; background: var(--tint); overflow-wrap: anywhere;
}
.notice.good { --tone: var(--good); background: var(--good-tint); }
.notice.warning { --tone: var(--warning); background: var(--warning-tint); }
.notice b { color: var(--tone); margin-right: .35em; }
.state { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: baseline; margin: 0 0 .7rem; }
.state b { font-weight: 620; }
.state span { color: var(--muted); overflow-wrap: anywhere; }
.meter { height: .55rem; margin: 0 0 1.1rem; border-radius: 1rem; background: var(--line); overflow: hidden; }
.meter > div { height: 100%; border-radius: 1rem; background: var(--accent); }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--muted); padding-bottom: .5rem; }
th, td {
  text-align: left; vertical-align: top; padding: .42rem 1.2rem .42rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere;
}
thead th { color: var(--muted); font-size: .82rem; font-weight: 500; }
tbody th { font-weight: 500; }
pre {
  margin: .5rem 0 0; padding: .9rem 1.1rem; overflow-x: auto; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px;
  font: .86rem/1.55 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
details { margin-top: 1.2rem; }
summary { cursor: pointer; color: var(--accent); }
details[open] > summary { margin-bottom: 1.1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; margin: 0; list-style: none; }
@media (max-width: 34rem) {
  .wrap { padding-top: 2rem; }
  .row > figure { flex-basis: 7.2rem; }
}
@media print { .wrap { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""

# A page that renews itself must not lose the place where somebody reads, nor close what they opened.
KEEP_PLACE = """
try {
  const key = "tandem:" + location.pathname, kept = JSON.parse(sessionStorage.getItem(key) || "{}");
  const folds = () => [...document.querySelectorAll("details")];
  folds().forEach((fold, i) => { fold.open = (kept.open || [])[i] || fold.open; });
  scrollTo(0, kept.y || 0);
  addEventListener("load", () => scrollTo(0, kept.y || 0));
  addEventListener("pagehide", () => sessionStorage.setItem(
    key, JSON.stringify({ y: scrollY, open: folds().map((fold) => fold.open) })));
} catch (error) { console.info("the reading place is not kept:", error); }
"""

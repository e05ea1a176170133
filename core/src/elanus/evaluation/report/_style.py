"""How a page looks: by light and by dark, and without anything from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5d6873; --line: #d5dbe1; --page: #fbfbfa;
  --card: #fff; --gain: #2a7f62; --loss: #b8473d; --first: #2f6db5; --second: #c07a1d;
  --none: #c3cad1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #9aa5b0; --line: #353d45; --page: #15191d; --card: #1c2227;
    --gain: #56b892; --loss: #e2786d; --first: #6aa5e6; --second: #dda24d; --none: #4a545e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 66rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
.soft, figcaption, small { color: var(--soft); }
.note { border-left: 4px solid var(--second); padding: .5rem .9rem; background: var(--card); }
.wide { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; color: var(--soft); }
.best { font-weight: 700; }
.figures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); }
figure { margin: 0; padding: .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
figcaption { font-size: .9rem; margin-top: .4rem; }
figure b { color: var(--ink); overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .strong { fill: var(--ink); font-weight: 600; }
.axis { stroke: var(--line); } .guide { stroke: var(--soft); stroke-dasharray: 3 3; }
.gain { fill: var(--gain); } .loss { fill: var(--loss); } .first { fill: var(--first); }
.second { fill: var(--second); } .none { fill: var(--none); } .point { fill-opacity: .8; }
.key { display: inline-block; white-space: nowrap; margin-right: 1rem; }
.key svg { display: inline-block; width: .75rem; margin-right: .35rem; }
article { margin: 1rem 0; padding: .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
article ol, article ul { margin: .5rem 0 0; padding-left: 1.6rem; }
article ol + small { display: block; margin-top: .6rem; }
article li { margin: .3rem 0; overflow-wrap: anywhere; }
article ul { list-style: none; padding-left: .2rem; }
.right { color: var(--gain); font-weight: 700; }
code { font: .85em ui-monospace, monospace; }
"""

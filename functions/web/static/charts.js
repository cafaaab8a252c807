// Draws each chart over its picture. Without this script, or if it fails, the picture stays.
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();

function config() {
  const [ink, muted, line] = ["--ink", "--muted", "--line"].map(colour);
  const words = { labelColor: ink, titleColor: muted, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400 };
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { ...words, gridColor: line, domainColor: line, tickColor: line },
    legend: { ...words, symbolType: "circle" },
    text: { color: ink },
  };
}

async function draw(holder, library) {
  const answer = await fetch(holder.dataset.chart);
  if (!answer.ok) throw new Error(`${holder.dataset.chart}: ${answer.status}`);
  const { compile, parse, View, expressionInterpreter } = library;
  const chart = await answer.json();
  const spec = compile(chart, { config: config() }).spec;
  const target = document.createElement("div");
  target.className = "drawn";
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", `${chart.description}; the figures are in the table below`);
  const old = holder.querySelector(".drawn");
  if (old) old.hidden = true;
  holder.append(target);
  const view = new View(parse(spec, null, { ast: true }), {
    expr: expressionInterpreter,
    renderer: "svg",
    container: target,
    hover: true,
  });
  await view.runAsync();
  target.querySelector("svg").setAttribute("aria-hidden", "true");
  if (old) old.remove();
  const picture = holder.querySelector("img");
  if (picture) picture.hidden = true;
}

const library = await import(document.querySelector("script[data-library]").dataset.library);
const all = () => Promise.all([...document.querySelectorAll("[data-chart]")].map((one) => draw(one, library)));
await all();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
document.documentElement.dataset.charts = "drawn";

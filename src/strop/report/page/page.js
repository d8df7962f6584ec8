// What the page does beyond its tables: theme, sorting, plots. Everything it shows stands in the tables too.
(() => {
  "use strict";
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const ink = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  root.classList.add("has-js");

  // Theme: the system's until somebody asks for the other.
  const toggle = document.getElementById("theme");
  const label = () => { toggle.textContent = isDark() ? "Light theme" : "Dark theme"; };
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
    draw();
  });
  dark.addEventListener("change", () => { label(); draw(); });
  label();

  // Sorting: a button in each head; what has no figure stays last.
  const key = (cell) => (cell.dataset.sort !== undefined ? Number(cell.dataset.sort) : cell.textContent.trim());
  const compare = (a, b, sign) => {
    const [aEmpty, bEmpty] = [a === "–", b === "–"];
    if (aEmpty || bEmpty) return aEmpty - bEmpty;
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(key(a.cells[column]), key(b.cells[column]), up ? 1 : -1));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // Where we are, in the list of sections.
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      links.forEach((a) => a.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "0px 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((section) => seen.observe(section));

  // Plots.
  const charts = [];
  const axis = (title, range) => ({
    ...range, title: { display: true, text: title, color: ink("--soft") },
    ticks: { color: ink("--soft"), maxTicksLimit: 7, includeBounds: false }, grid: { color: ink("--line") }, border: { color: ink("--line") },
  });
  const shared = (legend) => ({
    responsive: true, maintainAspectRatio: false, animation: false, hover: { animationDuration: 0 },
    plugins: { legend: { display: legend, position: "bottom", labels: { color: ink("--ink"), usePointStyle: true, padding: 16 } } },
  });
  const MARKS = {
    chosen: { name: "chosen", style: "star", size: 11, color: "--accent" },
    baseline: { name: "baseline", style: "rectRot", size: 9, color: "--ink" },
    frontier: { name: "on the frontier", style: "triangle", size: 8, color: "--accent" },
    other: { name: "other candidates", style: "circle", size: 5, color: "--soft" },
  };
  const text = (triple) => {
    if (!triple) return "not measured";
    const [value, low, high] = triple.map((v) => Number(v.toPrecision(3)));
    return low === high ? `${value}` : `${value} [${low}, ${high}]`;
  };

  // The range of an axis: all values, and the intervals of what was confirmed.
  const range = (points, name) => {
    const ends = points.flatMap((p) => (p.confirmed ? p.axes[name] : [p.axes[name][0]]));
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const room = 0.08 * (high - low) || 0.05 * Math.abs(high) || 1;
    return { min: low - room, max: high + room };
  };

  const pareto = () => {
    const canvas = document.querySelector("canvas[data-plot=pareto]");
    if (!canvas) return;
    const [x, y] = ["x-axis", "y-axis"].map((id) => document.getElementById(id).value);
    const points = data.points.filter((p) => p.axes[x] && p.axes[y]);
    if (!points.length) { canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); return; }
    const datasets = Object.entries(MARKS).map(([role, mark]) => {
      const group = points.filter((p) => p.role === role);
      const fill = group.map((p) => (p.confirmed ? ink(mark.color) : ink("--panel")));
      const title = group.length && role in { chosen: 1, baseline: 1 } ? `${mark.name}: ${group[0].name}` : mark.name;
      return {
        label: title, pointStyle: mark.style, radius: mark.size, hoverRadius: mark.size + 2, borderWidth: 2,
        backgroundColor: fill, borderColor: ink(mark.color),
        errorBarColor: ink(mark.color), errorBarLineWidth: role === "other" ? 0.75 : 1.5,
        errorBarWhiskerColor: ink(mark.color), errorBarWhiskerSize: 8, errorBarWhiskerLineWidth: role === "other" ? 0.75 : 1.5,
        data: group.map((p) => ({
          x: p.axes[x][0], xMin: p.axes[x][1], xMax: p.axes[x][2], y: p.axes[y][0], yMin: p.axes[y][1], yMax: p.axes[y][2], point: p,
        })),
      };
    }).filter((set) => set.data.length);
    const options = shared(true);
    options.scales = { x: axis(data.axes[x], range(points, x)), y: axis(data.axes[y], range(points, y)) };
    options.plugins.tooltip = { callbacks: { label: (item) => {
      const p = item.raw.point;
      const how = p.confirmed ? "confirmed" : "search only";
      return [`${p.name} (${how}${p.frontier ? ", on the frontier" : ""})`, ...Object.keys(data.axes).map((a) => `${data.axes[a]}: ${text(p.axes[a])}`)];
    } } };
    charts.push(new Chart(canvas, { type: "scatterWithErrorBars", data: { datasets }, options }));
  };

  // A language model's quality over size and over pace: a mark and a color a framework, a line along the frontier.
  const LOOKS = [["rectRot", "--ink"], ["circle", "--accent"], ["triangle", "--good"], ["rect", "--open"], ["rectRounded", "--bad"], ["circle", "--soft"]];
  const logarithmic = (title, low, high) => {
    const [min, max] = [low / 2.5, high * 2.5];
    const told = (v) => { const lead = Number(v.toExponential().split("e")[0]); return lead === 1 || (max / min < 200 && (lead === 2 || lead === 5)); };
    const made = axis(title, { type: "logarithmic", min, max });
    made.ticks = { color: ink("--soft"), autoSkip: true, maxRotation: 0, callback: (v) => (told(v) ? (v < 0.001 ? v.toExponential(0) : String(v)) : null) };
    made.grid = { ...made.grid, display: true, drawTicks: false, color: (c) => (c.tick && told(c.tick.value) ? ink("--line") : "transparent") };
    return made;
  };
  // Names beside their marks, the choice's first; but for the choice, one that finds no free place is left to the tooltip and the table.
  const names = {
    id: "names",
    afterDatasetsDraw: (chart) => {
      const { ctx, chartArea: area } = chart;
      const marks = chart.data.datasets.flatMap((set, i) => (chart.isDatasetVisible(i) ? set.data.map((raw, j) => ({ raw, at: chart.getDatasetMeta(i).data[j] })) : []))
        .filter((mark) => mark.raw.point);
      const taken = marks.map(({ at }) => ({ left: at.x - 6, right: at.x + 6, top: at.y - 6, bottom: at.y + 6 }));
      const free = (box) => box.left > area.left && box.right < area.right && box.top > area.top && box.bottom < area.bottom
        && !taken.some((t) => box.left < t.right && t.left < box.right && box.top < t.bottom && t.top < box.bottom);
      const rank = ({ raw }) => ["chosen", "baseline"].indexOf(raw.point.role) + 1 || (raw.best ? 3 : 4);
      Object.assign(ctx, { font: `12px ${ink("--sans")}`, fillStyle: ink("--ink"), strokeStyle: ink("--panel"), lineWidth: 3, lineJoin: "round", textBaseline: "middle", textAlign: "left" });
      for (const { raw, at } of marks.sort((one, other) => rank(one) - rank(other))) {
        const wide = ctx.measureText(raw.point.name).width;
        const places = [[13, 0], [-13 - wide, 0], [9, -13], [-9 - wide, -13], [9, 13], [-9 - wide, 13], [-wide / 2, -18], [-wide / 2, 18]];
        const boxes = places.map(([x, y]) => ({ left: at.x + x, right: at.x + x + wide, top: at.y + y - 7, bottom: at.y + y + 7 }));
        const box = boxes.find(free) ?? (raw.point.role === "chosen" ? boxes[at.x + 13 + wide < area.right ? 0 : 1] : null);
        if (!box) continue;
        taken.push(box);
        ctx.strokeText(raw.point.name, box.left, box.top + 7);
        ctx.fillText(raw.point.name, box.left, box.top + 7);
      }
    },
  };
  const quality = () => {
    const found = data.language;
    const y = document.getElementById("quality-axis")?.value;
    if (!found || !y) return;
    for (const canvas of document.querySelectorAll("canvas[data-plot=quality]")) {
      const x = document.getElementById(`${canvas.dataset.of}-axis`)?.value ?? canvas.dataset.axis;
      const points = found.points.filter((p) => p.axes[x] && p.axes[y]);
      if (!points.length) continue;
      const best = found.frontiers[`${x}/${y}`];
      const lift = (name, v) => (found.floors[name] === null ? v : Math.max(v, found.floors[name]));
      const place = (p) => Object.fromEntries([["x", x], ["y", y]].flatMap(([side, name]) => {
        const [value, low, high] = p.axes[name].map((v) => lift(name, v));
        return [[side, value], [`${side}Min`, low], [`${side}Max`, high]];
      }));
      const scale = (name) => {
        const ends = points.flatMap((p) => p.axes[name].map((v) => lift(name, v)));
        const [low, high] = [Math.min(...ends), Math.max(...ends)];
        if (found.floors[name] !== null) return logarithmic(found.axes[name], low, high);
        const room = 0.1 * (high - low) || 0.05 * Math.abs(high) || 1;
        return axis(found.axes[name], { min: Math.max(low - room, low >= 0 ? 0 : -Infinity), max: high + room });
      };
      const sets = found.frameworks.map((framework, i) => {
        const [pointStyle, color] = LOOKS[i % LOOKS.length];
        const group = points.filter((p) => p.framework === framework);
        return {
          label: framework, pointStyle, radius: group.map((p) => (p.role === "chosen" ? 9 : 6)), hoverRadius: 10, borderWidth: 2,
          backgroundColor: group.map((p) => (best.includes(p.name) ? ink(color) : ink("--panel"))), borderColor: ink(color),
          errorBarColor: ink(color), errorBarLineWidth: 1, errorBarWhiskerColor: ink(color), errorBarWhiskerSize: 6, errorBarWhiskerLineWidth: 1,
          data: group.map((p) => ({ ...place(p), point: p, best: best.includes(p.name) })),
        };
      }).filter((set) => set.data.length);
      const line = best.map((name) => points.find((p) => p.name === name)).map((p) => ({ x: lift(x, p.axes[x][0]), y: lift(y, p.axes[y][0]) }));
      sets.push({
        type: "line", label: "best at each " + (canvas.dataset.of === "size" ? "size" : "pace"), data: line, pointRadius: 0, pointHitRadius: 0,
        borderColor: ink("--soft"), borderWidth: 1.5, borderDash: [5, 4], pointStyle: "line", order: 9,
      });
      const options = shared(true);
      options.scales = { x: scale(x), y: scale(y) };
      options.plugins.legend.labels.generateLabels = (chart) => Chart.defaults.plugins.legend.labels.generateLabels(chart)
        .map((one) => ({ ...one, fillStyle: one.strokeStyle }));
      options.plugins.tooltip = { filter: (item) => item.raw.point, callbacks: { label: (item) => {
        const p = item.raw.point;
        const said = [p.framework, p.role === "chosen" ? "chosen" : "", best.includes(p.name) ? "on the frontier" : ""].filter(Boolean).join(", ");
        return [`${p.name} (${said})`, ...Object.keys(found.axes).map((a) => `${found.axes[a]}: ${text(p.axes[a])}`)];
      } } };
      charts.push(new Chart(canvas, { type: "scatterWithErrorBars", data: { datasets: sets }, options, plugins: [names] }));
    }
  };

  const curves = () => {
    for (const canvas of document.querySelectorAll("canvas[data-plot=curve]")) {
      const curve = data.curves[Number(canvas.dataset.of)];
      const self = curve.name === data.baseline;
      const line = (label, values, color, dash) => ({
        label, data: values.map((ms, i) => ({ x: ms, y: curve.percent[i] })), showLine: true, pointRadius: 0, pointHitRadius: 6,
        borderColor: ink(color), backgroundColor: ink(color), borderWidth: 2, borderDash: dash, pointStyle: "line",
      });
      const options = shared(true);
      options.scales = { x: axis("milliseconds", {}), y: axis("share of calls, %", { min: 0, max: 100 }) };
      options.plugins.tooltip = { callbacks: { label: (item) => `${item.dataset.label}: p${item.raw.y} = ${Number(item.raw.x.toPrecision(4))} ms` } };
      charts.push(new Chart(canvas, { type: "scatter", options, data: { datasets: [
        line(self ? "baseline, first process" : "baseline", curve.baseline_ms, "--ink", [6, 4]),
        line(self ? "baseline, second process" : curve.name, curve.candidate_ms, "--accent", []),
      ] } }));
    }
  };

  const memory = () => {
    const canvas = document.querySelector("canvas[data-plot=memory]");
    if (!canvas) return;
    const looks = [["--ink", [6, 4]], ["--accent", []], ["--soft", []], ["--ink", [2, 3]], ["--accent", [2, 3]]];
    const options = shared(true);
    options.scales = { x: axis("seconds since the runtime was imported", { min: 0 }), y: axis("resident memory, MB", { min: 0 }) };
    options.plugins.tooltip = { callbacks: { label: (item) => `${item.dataset.label}: ${item.raw.y.toFixed(1)} MB after ${item.raw.x.toFixed(2)} s` } };
    charts.push(new Chart(canvas, { type: "scatter", options, data: { datasets: data.memory.map((curve, i) => {
      const [color, dash] = looks[i % looks.length];
      return {
        label: curve.name, data: curve.seconds.map((x, j) => ({ x, y: curve.mb[j] })), showLine: true, pointRadius: 2, pointHitRadius: 6,
        borderColor: ink(color), backgroundColor: ink(color), borderWidth: 2, borderDash: dash, pointStyle: "line",
      };
    }) } }));
  };

  const draw = () => {
    charts.splice(0).forEach((chart) => chart.destroy());
    Chart.defaults.font.family = ink("--sans");
    Chart.defaults.font.size = 13;
    if (still) Chart.defaults.transitions.active.animation.duration = 0;
    pareto();
    quality();
    curves();
    memory();
  };
  for (const id of ["x-axis", "y-axis", "quality-axis", "pace-axis"]) document.getElementById(id)?.addEventListener("change", draw);

  // On paper: everything open, in light colors, plots at the paper's width.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme, shut: [...document.querySelectorAll("details:not([open])")] };
    before.shut.forEach((d) => { d.open = true; });
    root.dataset.theme = "light";
    draw();
    charts.forEach((chart) => chart.resize());
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    before.shut.forEach((d) => { d.open = false; });
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    draw();
  });
  draw();
})();

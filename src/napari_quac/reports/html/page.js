"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const byId = (name) => document.getElementById(name);
  const samples = payload.samples;
  const colors = Uint8Array.from(atob(payload.colors), (c) => c.charCodeAt(0));
  const state = { sample: 0, method: 0, position: 0, blinking: false, sort: "", falling: true };
  let images = null; // bytes of the displayed sample
  let request = 0;

  const text = (node, content) => { node.textContent = content; };
  const number = (x, digits = 2) => (x === null || x === undefined ? "unknown" : x.toFixed(digits));
  const percent = (x) => (x === null ? "unknown" : `${(100 * x).toFixed(1)} %`);
  const element = (name, content = "", parent = null, kind = "") => {
    const node = document.createElement(name);
    if (content !== "") node.textContent = content;
    if (kind) node.className = kind;
    if (parent) parent.append(node);
    return node;
  };

  // Decode a PNG to its bytes: (width, height, data), four bytes for each pixel.
  const decode = (uri) => new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      resolve(context.getImageData(0, 0, canvas.width, canvas.height));
    };
    image.onerror = () => reject(new Error("an image of this page is damaged"));
    image.src = uri;
  });

  const paint = (canvas, pixels, label) => {
    canvas.width = pixels.width;
    canvas.height = pixels.height;
    canvas.getContext("2d", { willReadFrequently: true }).putImageData(pixels, 0, 0);
    canvas.setAttribute("aria-label", label);
  };

  // Reflect a position at the first and last pixel, without repeating them.
  const mirror = (i, n) => {
    if (n === 1) return 0;
    const period = 2 * (n - 1);
    const k = ((i % period) + period) % period;
    return k < n ? k : period - k;
  };

  const blurLine = (source, target, start, step, n, kernel) => {
    const radius = (kernel.length - 1) / 2;
    for (let i = 0; i < n; i += 1) {
      let sum = 0;
      for (let k = -radius; k <= radius; k += 1) {
        sum += kernel[k + radius] * source[start + step * mirror(i + k, n)];
      }
      target[start + step * i] = sum;
    }
  };

  // Return the softened mask of a slider position, three channels one after the other.
  const softMask = (levels, position, kernel) => {
    const { width, height, data } = levels;
    const n = width * height;
    const mask = new Float64Array(3 * n);
    const isGray = images.grayLevels;
    for (let c = 0; c < (isGray ? 1 : 3); c += 1) {
      let plane = new Float64Array(n);
      for (let i = 0; i < n; i += 1) plane[i] = data[4 * i + c] > position ? 1 : 0;
      if (kernel.length > 1) {
        const rows = new Float64Array(n);
        for (let y = 0; y < height; y += 1) blurLine(plane, rows, y * width, 1, width, kernel);
        plane = new Float64Array(n);
        for (let x = 0; x < width; x += 1) blurLine(rows, plane, x, width, height, kernel);
      }
      mask.set(plane, c * n);
    }
    if (isGray) { mask.copyWithin(n, 0, n); mask.copyWithin(2 * n, 0, n); }
    return mask;
  };

  const isGray = ({ data }) => {
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
    }
    return true;
  };

  const blend = (base, insert, mask) => {
    const n = base.width * base.height;
    const hybrid = new ImageData(base.width, base.height);
    for (let i = 0; i < n; i += 1) {
      for (let c = 0; c < 3; c += 1) {
        const m = mask[c * n + i];
        hybrid.data[4 * i + c] = Math.round(m * insert.data[4 * i + c] + (1 - m) * base.data[4 * i + c]);
      }
      hybrid.data[4 * i + 3] = 255;
    }
    return hybrid;
  };

  const maskImage = (mask, width, height) => {
    const n = width * height;
    const image = new ImageData(width, height);
    for (let i = 0; i < n; i += 1) {
      const value = Math.round(255 * Math.max(mask[i], mask[n + i], mask[2 * n + i]));
      image.data.fill(value, 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    return image;
  };

  // Draw the edges of pixels between which the mask crosses one half.
  const drawEdge = (image) => {
    const { width, height, data } = image;
    const canvas = byId("edge");
    const scale = Math.max(1, Math.min(4, Math.floor(1024 / width)));
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.hidden = !byId("outline").checked || state.blinking;
    const context = canvas.getContext("2d");
    const inside = (x, y) => data[4 * (y * width + x)] >= 128;
    const path = new Path2D();
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        if (x + 1 < width && inside(x, y) !== inside(x + 1, y)) {
          path.moveTo((x + 1) * scale, y * scale);
          path.lineTo((x + 1) * scale, (y + 1) * scale);
        }
        if (y + 1 < height && inside(x, y) !== inside(x, y + 1)) {
          path.moveTo(x * scale, (y + 1) * scale);
          path.lineTo((x + 1) * scale, (y + 1) * scale);
        }
      }
    }
    context.lineCap = "square";
    for (const [color, line] of [["#000", 4], ["#e69f00", 2.2]]) {
      context.strokeStyle = color;
      context.lineWidth = Math.max(1, line * scale / 4 * Math.max(1, width / 128));
      context.stroke(path);
    }
  };

  const mapImage = (indices) => {
    const image = new ImageData(indices.width, indices.height);
    for (let i = 0; i < indices.data.length; i += 4) {
      for (let c = 0; c < 3; c += 1) image.data[i + c] = colors[3 * indices.data[i] + c];
      image.data[i + 3] = 255;
    }
    return image;
  };

  const paintColors = () => {
    const image = new ImageData(colors.length / 3, 1);
    for (let i = 0; i < colors.length / 3; i += 1) {
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = colors[3 * i + c];
      image.data[4 * i + 3] = 255;
    }
    paint(byId("colors"), image, "");
  };

  const axisPlace = (size) => (byId("axis").value === "root" ? Math.sqrt(size) : size);
  const plot = { left: 44, right: 348, top: 10, bottom: 182 };
  const toX = (size) => plot.left + axisPlace(size) * (plot.right - plot.left);
  let toY = () => 0;

  const draw = (name, attributes, parent, content = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, entry] of Object.entries(attributes)) node.setAttribute(key, entry);
    if (content) node.textContent = content;
    parent.append(node);
    return node;
  };

  const drawCurve = () => {
    const svg = byId("curve");
    svg.replaceChildren();
    const method = samples[state.sample].methods[state.method];
    const changes = method.changes.map((x) => (x === null ? 0 : x));
    const low = Math.min(0, ...changes);
    const high = Math.max(1, ...changes);
    toY = (y) => plot.bottom - ((y - low) / (high - low)) * (plot.bottom - plot.top);
    for (const y of [0, 0.5, 1]) {
      draw("path", { class: "axis", d: `M${plot.left} ${toY(y)}H${plot.right}` }, svg);
      draw("text", { x: plot.left - 6, y: toY(y) + 4, "text-anchor": "end" }, svg, String(y));
    }
    for (const x of byId("axis").value === "root" ? [0, 0.01, 0.1, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]) {
      const place = { x: toX(x), y: plot.bottom + 16, "text-anchor": x === 1 ? "end" : "middle" };
      draw("text", place, svg, `${100 * x} %`);
    }
    const middle = (plot.left + plot.right) / 2;
    draw("text", { x: middle, y: plot.bottom + 34, "text-anchor": "middle" }, svg, "mask size");
    const label = { x: 12, y: 96, "text-anchor": "middle", transform: "rotate(-90 12 96)" };
    draw("text", label, svg, "score change");
    const points = method.sizes.map((size, i) => [size, changes[i]]).reverse();
    points.unshift([0, 0]);
    points.push([1, changes[0]]);
    const d = points.map(([x, y], i) => `${i ? "L" : "M"}${toX(x).toFixed(2)} ${toY(y).toFixed(2)}`);
    draw("path", { class: "line", d: d.join("") }, svg);
    draw("circle", { class: "mark", id: "mark", r: 5 }, svg);
    svg.setAttribute("aria-label", `QuAC curve of ${method.name}, area ${number(method.score)}`);
  };

  const drawPredictions = () => {
    const sample = samples[state.sample];
    const method = sample.methods[state.method];
    const rows = [
      ["query", sample.probabilities.query, "--query"],
      [sample.infill ? "infill" : "generated", sample.probabilities.generated, "--generated"],
      ["hybrid", method.probabilities[state.position], "--mark"],
    ];
    const table = byId("predictions");
    table.replaceChildren();
    sample.classes.forEach((name, k) => {
      const row = element("tr", "", table);
      const head = element("th", name, row);
      head.scope = "row";
      const cell = element("td", "", row);
      for (const [label, probabilities, color] of rows) {
        const line = element("div", "", cell, "probability");
        element("span", label, line);
        const track = element("span", "", line, "track");
        const bar = element("i", "", track);
        bar.style.width = `${100 * (probabilities[k] || 0)}%`;
        bar.style.background = `var(${color})`;
        element("b", number(probabilities[k]), line);
      }
    });
  };

  // Show the mask, hybrid and numbers of the slider position.
  const showPosition = () => {
    const sample = samples[state.sample];
    const method = sample.methods[state.method];
    const position = state.position;
    const threshold = method.thresholds[position];
    const size = method.sizes[position];
    const words = threshold < 0 ? "whole image" : `threshold ${number(threshold, 3)}`;
    const slider = byId("threshold");
    slider.value = position;
    slider.setAttribute("aria-valuetext", `${words}, mask ${percent(size)}`);
    text(byId("position"), `${words}, mask ${percent(size)}`);
    const [base, insert] = sample.swapped ? [images.generated, images.query] : [images.query, images.generated];
    const mask = softMask(images.levels, position, sample.kernel);
    const picture = maskImage(mask, base.width, base.height);
    const scored = sample.classes[sample.scored];
    const p = method.probabilities[position][sample.scored];
    paint(byId("hybrid"), state.blinking ? images.query : blend(base, insert, mask), "hybrid");
    paint(byId("mask"), picture, `mask of ${percent(size)}`);
    drawEdge(picture);
    text(byId("hybrid-text"), state.blinking ? "query" : `hybrid, p(${scored}) = ${number(p)}`);
    text(byId("mask-text"), `mask, ${percent(size)}`);
    const mark = byId("mark");
    mark.setAttribute("cx", toX(size));
    mark.setAttribute("cy", toY(method.changes[position] || 0));
    drawPredictions();
  };

  const showTexts = () => {
    const sample = samples[state.sample];
    const method = sample.methods[state.method];
    const scored = sample.classes[sample.scored];
    const p = (name) => number(sample.probabilities[name][sample.scored]);
    text(byId("sample"), `${sample.id}: ${sample.source} → ${sample.target}`);
    const label = sample.label === null ? "" : `Labeled ${sample.label}. `;
    const note = method.constant ? " Its attribution is constant, so it ranks no pixel above another." : "";
    const section = sample.section ? ` Of the volume, ${sample.section} is shown.` : "";
    const exact = sample.exact ? "" : " The mean of the channels is shown, so hybrids are approximate.";
    text(byId("verdict"), `${label}QuAC score by ${method.name}: ${number(method.score)}.${note}${section}${exact}`);
    text(byId("query-text"), `query, p(${scored}) = ${p("query")}`);
    text(byId("generated-text"), `${sample.infill ? "infill" : "generated"}, p(${scored}) = ${p("generated")}`);
    text(byId("attribution-text"), `attribution, ${method.name}`);
    text(byId("low"), `−${method.limit}`);
    text(byId("high"), String(method.limit));
    text(byId("record"), sample.record ? `Record of this sample: SHA-256 ${sample.record}` : "");
    byId("bar").hidden = !sample.bar;
    if (sample.bar) {
      byId("bar").firstElementChild.style.width = `${100 * sample.bar.share}%`;
      text(byId("bar").lastElementChild, sample.bar.text);
    }
    for (const canvas of document.querySelectorAll(".frame canvas")) {
      canvas.style.aspectRatio = `${sample.size[0]} / ${sample.size[1] * sample.aspect}`;
    }
  };

  const open = async (sampleIndex, methodIndex) => {
    const turn = request += 1;
    const sample = samples[sampleIndex];
    const method = sample.methods[methodIndex];
    const [query, generated, levels, map] = await Promise.all(
      [sample.query, sample.generated, method.levels, method.map].map(decode),
    );
    if (turn !== request) return; // another sample was opened meanwhile
    images = { query, generated, levels, map, grayLevels: isGray(levels) };
    Object.assign(state, { sample: sampleIndex, method: methodIndex, position: method.best });
    const menu = byId("method");
    menu.replaceChildren();
    sample.methods.forEach((entry, i) => {
      element("option", `${entry.name} (${number(entry.score)})`, menu).value = String(i);
    });
    menu.value = String(methodIndex);
    byId("threshold").max = String(method.thresholds.length - 1);
    paint(byId("query"), query, "query");
    paint(byId("generated"), generated, "generated image");
    paint(byId("attribution"), mapImage(map), `attribution by ${method.name}`);
    showTexts();
    drawCurve();
    showPosition();
    markRow();
    document.documentElement.dataset.ready = `${sampleIndex} ${methodIndex}`;
    document.documentElement.dataset.readyAfter ||= String(performance.now());
  };

  const moveTo = (position) => {
    const last = samples[state.sample].methods[state.method].thresholds.length - 1;
    state.position = Math.max(0, Math.min(last, position));
    showPosition();
  };

  const setBlinking = (isBlinking) => {
    if (!images || state.blinking === isBlinking) return;
    state.blinking = isBlinking;
    byId("blink").setAttribute("aria-pressed", String(isBlinking));
    showPosition();
  };

  const columns = [
    ["sample", "Sample", (r) => r.sample.id],
    ["source", "Source", (r) => r.sample.source],
    ["target", "Target", (r) => r.sample.target],
    ["method", "Method", (r) => r.method.name],
    ["score", "QuAC score", (r) => r.method.score, (x) => number(x, 3)],
    ["size", "Mask size", (r) => r.method.sizes[r.method.best], percent],
    ["before", "p before", (r) => r.sample.probabilities[r.sample.swapped ? "generated" : "query"][r.sample.scored], number],
    ["after", "p after", (r) => r.method.probabilities[r.method.best][r.sample.scored], number],
  ];
  const rows = samples.flatMap((sample, s) => sample.methods.map((method, m) => ({ sample, method, s, m })));
  let visible = rows;

  const buildTable = () => {
    const head = element("tr", "", document.querySelector("#table thead"));
    for (const [key, name, , format] of columns) {
      const cell = element("th", "", head, format ? "number" : "");
      cell.scope = "col";
      cell.dataset.column = key;
      const button = element("button", name, cell);
      button.type = "button";
      button.addEventListener("click", () => {
        state.falling = state.sort === key ? !state.falling : ["score", "size", "before", "after"].includes(key);
        state.sort = key;
        showTable();
      });
    }
    const body = document.querySelector("#table tbody");
    for (const row of rows) {
      row.node = element("tr", "", body);
      for (const [key, , read, format] of columns) {
        const cell = element("td", "", row.node, format ? "number" : "");
        if (key === "sample") {
          const button = element("button", "", cell);
          button.type = "button";
          const picture = element("img", "", button);
          picture.loading = "lazy";
          picture.decoding = "async";
          picture.alt = "";
          picture.src = row.sample.query;
          element("span", row.sample.id, button);
          button.addEventListener("click", () => open(row.s, row.m));
        } else {
          text(cell, format ? format(read(row)) : read(row));
        }
      }
      row.words = columns.slice(0, 4).map(([, , read]) => read(row)).join(" ").toLowerCase();
    }
  };

  const passes = (row) => {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const lowest = byId("lowest").value;
    return words.every((word) => row.words.includes(word))
      && (byId("classes").value === "" || byId("classes").value === classesOf(row))
      && (byId("methods").value === "" || byId("methods").value === row.method.name)
      && (lowest === "" || (row.method.score !== null && row.method.score >= Number(lowest)));
  };

  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === null) return 1; // unknown numbers come last
    if (b === null) return -1;
    const order = a < b ? -1 : 1;
    return state.falling ? -order : order;
  };

  const showTable = () => {
    visible = rows.filter(passes);
    const column = columns.find(([key]) => key === state.sort);
    if (column) visible.sort((a, b) => compare(column[2](a), column[2](b)));
    document.querySelector("#table tbody").replaceChildren(...visible.map((row) => row.node));
    for (const cell of document.querySelectorAll("#table th")) {
      const isSorted = cell.dataset.column === state.sort;
      cell.setAttribute("aria-sort", isSorted ? (state.falling ? "descending" : "ascending") : "none");
    }
    text(byId("count"), `${visible.length} of ${rows.length} explanations`);
    markRow();
  };

  const markRow = () => {
    for (const row of rows) {
      row.node.setAttribute("aria-selected", String(row.s === state.sample && row.m === state.method));
    }
  };

  const classesOf = (row) => `${row.sample.source} → ${row.sample.target}`;

  const fillMenu = (menu, first, names) => {
    element("option", first, menu).value = "";
    for (const name of [...new Set(names)].sort()) element("option", name, menu).value = name;
  };

  const step = (by) => {
    const at = visible.findIndex((row) => row.s === state.sample && row.m === state.method);
    const row = visible[Math.max(0, Math.min(visible.length - 1, at + by))];
    if (row) {
      open(row.s, row.m);
      row.node.scrollIntoView({ block: "nearest" });
    }
  };

  const onKey = (event, isDown) => {
    const isTyping = ["text", "search", "number"].includes(event.target.type) || event.target.tagName === "SELECT";
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "b") setBlinking(isDown);
    if (!isDown) return;
    if (key === "o") moveTo(samples[state.sample].methods[state.method].best);
    if (key === "n") step(1);
    if (key === "p") step(-1);
  };

  const connect = () => {
    byId("threshold").addEventListener("input", (event) => moveTo(Number(event.target.value)));
    byId("method").addEventListener("change", (event) => open(state.sample, Number(event.target.value)));
    byId("optimum").addEventListener("click", () => moveTo(samples[state.sample].methods[state.method].best));
    byId("outline").addEventListener("change", showPosition);
    byId("axis").addEventListener("change", () => { drawCurve(); showPosition(); });
    const blink = byId("blink");
    blink.addEventListener("pointerdown", () => setBlinking(true));
    for (const name of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      blink.addEventListener(name, () => setBlinking(false));
    }
    blink.addEventListener("keydown", (event) => { if ([" ", "Enter"].includes(event.key)) setBlinking(true); });
    blink.addEventListener("keyup", () => setBlinking(false));
    document.addEventListener("keydown", (event) => onKey(event, true));
    document.addEventListener("keyup", (event) => onKey(event, false));
    window.addEventListener("blur", () => setBlinking(false));
    byId("curve").addEventListener("click", (event) => {
      const box = byId("curve").getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * 360;
      const { sizes } = samples[state.sample].methods[state.method];
      let nearest = 0;
      sizes.forEach((size, i) => {
        if (Math.abs(toX(size) - x) < Math.abs(toX(sizes[nearest]) - x)) nearest = i;
      });
      moveTo(nearest);
    });
    for (const name of ["filter", "classes", "methods", "lowest"]) {
      byId(name).addEventListener("input", showTable);
    }
  };

  const start = () => {
    const n = samples.length;
    text(byId("about"), `${n} ${n === 1 ? "sample" : "samples"}, ${rows.length} ${rows.length === 1 ? "explanation" : "explanations"}. `
      + "Keys: B (hold) blink, O optimum, N and P next and previous row.");
    text(byId("notes"), `${payload.notes.join(" ")} Images have 8 bits, so the hybrids of this page are right within one of 255 gray values; `
      + `predictions are those of the original images, not computed here. Written by napari-quac ${payload.version}.`);
    buildTable();
    fillMenu(byId("classes"), "all", rows.map(classesOf));
    fillMenu(byId("methods"), "all", rows.map((row) => row.method.name));
    paintColors();
    connect();
    byId("samples").hidden = rows.length < 2;
    showTable();
    const first = samples[0].methods.reduce((best, method, i) => ((method.score ?? -2) > (samples[0].methods[best].score ?? -2) ? i : best), 0);
    open(0, first);
  };

  start();
})();

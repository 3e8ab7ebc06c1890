"use strict";

// A take is what one side can show: a source frame, the frames of one setting, or a blend of the source frames. Each of
// its frames is a list of layers, [id of a picture, opacity]. What is seen follows from `state` alone, by `render`.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const takes = new Map(data.takes.map((take) => [take.key, take]));
const settings = data.takes.filter((take) => take.maps);
const ZOOMS = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]; // screen pixels for a pixel; 0 shows all of the picture
const GRIP = 16; // CSS pixels around the divider that move it
const SMALL = 0.02; // a step of the slider
const STEP = 0.1; // a step of the picture, in parts of what is seen

const state = {
  k: data.factor >> 1,
  a: data.takes[0].key,
  b: settings[0].key,
  split: 0.5,
  zoom: 0,
  x: data.width / 2,
  y: data.height / 2,
  overlay: "",
  opacity: 0.6,
  view: "split",
  speed: 1,
};
let panels = []; // [canvas, caption, the takes of its sides]
let playing = 0; // the request for the next picture, 0 while nothing plays

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function scaleIn(canvas) {
  if (state.zoom) return state.zoom;
  return Math.min(canvas.width / data.width, canvas.height / data.height) || 1;
}

/** The top left corner of the picture, its size and the divider, in pixels of the canvas. */
function placeIn(canvas) {
  const scale = scaleIn(canvas);
  const along = (centre, length, room) => {
    const half = room / (2 * scale);
    return Math.round(room / 2 - scale * (length <= 2 * half ? length / 2 : clamp(centre, half, length - half)));
  };
  const left = along(state.x, data.width, canvas.width);
  const top = along(state.y, data.height, canvas.height);
  const [width, height] = [Math.round(data.width * scale), Math.round(data.height * scale)];
  const seen = [Math.max(left, 0), Math.min(left + width, canvas.width)];
  return { scale, left, top, width, height, seen, divider: Math.round(seen[0] + state.split * (seen[1] - seen[0])) };
}

function drawTake(context, place, take, other) {
  const layers = [...take.frames[state.k]];
  const map = (take.maps || other.maps || settings[0].maps)[state.overlay];
  if (map) layers.push([map.picture, state.opacity]);
  for (const [id, opacity] of layers) {
    context.globalAlpha = opacity;
    context.drawImage(at(id), place.left, place.top, place.width, place.height);
  }
}

function draw([canvas, , sides]) {
  const context = canvas.getContext("2d");
  const place = placeIn(canvas);
  const [first, last] = [sides[0], sides[sides.length - 1]];
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = !state.zoom && place.scale < 3;
  context.imageSmoothingQuality = "high";
  drawTake(context, place, last, first);
  if (first === last) return;
  context.save();
  context.beginPath();
  context.rect(0, 0, place.divider, canvas.height);
  context.clip();
  context.clearRect(0, 0, canvas.width, canvas.height);
  drawTake(context, place, first, last);
  context.restore();
  if (state.split <= 0 || state.split >= 1) return; // all is one side
  context.globalAlpha = 1;
  for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
    context.fillStyle = colour;
    context.fillRect(place.divider - (width >> 1), 0, width, canvas.height);
  }
}

const resized = new ResizeObserver((entries) => {
  for (const { target, devicePixelContentBoxSize, contentRect } of entries) {
    const [exact] = devicePixelContentBoxSize || [{}];
    const pixels = (known, length) => {
      const about = length * devicePixelRatio;
      return Math.abs(known - about) < 1 ? known : Math.round(about); // emulated screens are not known
    };
    target.width = pixels(exact.inlineSize, contentRect.width);
    target.height = pixels(exact.blockSize, contentRect.height);
  }
  render();
});

function observe(canvas) {
  try {
    resized.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    resized.observe(canvas); // Safari
  }
}

/** Make one panel for the slider, or one for each take. */
function arrange() {
  const split = state.view === "split";
  const shown = split ? [[state.a, state.b]] : data.takes.filter((take) => !take.blend).map((take) => [take.key]);
  resized.disconnect();
  panels = shown.map((keys) => {
    const [figure, caption, canvas] = ["figure", "figcaption", "canvas"].map((name) => document.createElement(name));
    caption.append(...keys.map(() => document.createElement("span")));
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-describedby", "help");
    canvas.addEventListener("pointerdown", drag);
    canvas.addEventListener("wheel", wheel, { passive: false });
    figure.append(caption, canvas);
    return [canvas, caption, keys.map((key) => takes.get(key))];
  });
  at("stage").replaceChildren(...panels.map(([canvas]) => canvas.parentElement));
  at("stage").style.setProperty("--column", split ? "100%" : "22rem");
  panels.forEach(([canvas]) => observe(canvas));
}

function render() {
  for (const id of ["a", "b", "split", "overlay", "opacity", "view", "speed"]) at(id).value = state[id];
  const split = state.view === "split";
  at("split").setAttribute("aria-valuetext", `${Math.round(100 * state.split)} %`);
  at("t").value = state.k;
  at("t").setAttribute("aria-valuetext", settings[0].texts[state.k]);
  at("zoom").value = `${Math.round(100 * scaleIn(panels[0][0]))} %`;
  at("divider").hidden = !split;
  for (const id of ["a", "b", "swap"]) at(id).disabled = !split;
  if (split) panels[0][2] = [takes.get(state.a), takes.get(state.b)];
  for (const panel of panels) {
    const [canvas, caption, sides] = panel;
    sides.forEach((take, number) => {
      caption.children[number].textContent = describe(take);
    });
    canvas.setAttribute("aria-label", sides.map(describe).join(" | "));
    canvas.classList.toggle("zoomed", state.zoom > 0);
    draw(panel);
  }
  const shown = panels.flatMap(([, , sides]) => sides).filter((take) => take.maps);
  const owners = shown.length ? shown : settings.slice(0, 1);
  const found = owners.map((take) => take.maps[state.overlay]);
  const texts = owners.map((take, n) => `${take.name}: ${found[n] ? found[n].meaning : "has none"}`);
  at("meaning").hidden = !state.overlay;
  at("meaning").lastElementChild.textContent = `${state.overlay}; ${texts.join("; ")}`;
  at("wheel").hidden = !found.some((map) => map && map.flow);
  const told = panels.map(([canvas]) => canvas.getAttribute("aria-label")).join(" | ");
  if (!playing && at("status").textContent !== told) at("status").textContent = told; // read aloud
  remember();
}

function describe(take) {
  const text = take.texts[state.k];
  return take.maps ? `${take.name}: ${text}` : text;
}

function change(values) {
  const view = state.view;
  Object.assign(state, values);
  if (state.view !== view) arrange();
  render();
}

// The address

let pending = 0;

/** Write what is shown into the address, not too often: browsers refuse many changes a second. */
function remember() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const { k, a, b, split, zoom, x, y, overlay, opacity, view } = state;
    const shown = { t: k / data.factor, a, b, split, zoom, x, y, overlay, opacity, view };
    const short = (value) => (typeof value === "number" ? Number(value.toFixed(4)) : value);
    const parts = Object.entries(shown).map(([name, value]) => [name, short(value)]);
    history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
  }, 300);
}

/** Return what the address asks for, without what makes no sense. */
function asked() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = {};
  const number = (name, low, high, use = (value) => (found[name] = value)) => {
    const value = given.has(name) ? parseFloat(given.get(name)) : NaN;
    if (Number.isFinite(value)) use(clamp(value, low, high));
  };
  number("t", 0, 1, (value) => (found.k = Math.round(value * data.factor)));
  number("split", 0, 1);
  number("opacity", 0, 1);
  number("zoom", 0, 32, (value) => (found.zoom = Math.round(value)));
  number("x", 0, data.width);
  number("y", 0, data.height);
  for (const name of ["a", "b", "view", "overlay"]) {
    const value = given.get(name);
    if ([...at(name).options].some((option) => option.value === value)) found[name] = value;
  }
  return found;
}

// What moves it

const turn = (list, value, by) => list[(list.indexOf(value) + by + list.length) % list.length];
const values = (id) => [...at(id).options].map((option) => option.value);

function step(by) {
  change({ k: clamp(state.k + by, 0, data.factor) });
}

function slide(by) {
  change({ split: clamp(state.split + by, 0, 1) });
}

/** Zoom by steps; the point of the picture under (x, y), in pixels of the canvas, stays where it is. */
function zoomBy(by, canvas = panels[0][0], x = canvas.width / 2, y = canvas.height / 2) {
  const scale = scaleIn(canvas);
  const next = by > 0 ? ZOOMS.find((zoom) => zoom > scale) : ZOOMS.findLast((zoom) => zoom < scale);
  zoomTo(state.zoom === 0 && by < 0 ? 0 : next ?? state.zoom, canvas, x, y);
}

function zoomTo(zoom, canvas = panels[0][0], x = canvas.width / 2, y = canvas.height / 2) {
  const before = placeIn(canvas);
  state.zoom = zoom;
  const scale = scaleIn(canvas);
  move(
    (x - before.left) / before.scale - (x - canvas.width / 2) / scale,
    (y - before.top) / before.scale - (y - canvas.height / 2) / scale,
    canvas,
  );
}

/** Show the picture around a point, as far as there is picture. */
function move(x, y, canvas = panels[0][0]) {
  const scale = scaleIn(canvas);
  const within = (value, length, room) => {
    const half = Math.min(room / (2 * scale), length / 2);
    return clamp(value, half, length - half);
  };
  change({ x: within(x, data.width, canvas.width), y: within(y, data.height, canvas.height) });
}

function pan(dx, dy) {
  const [canvas] = panels[0];
  const scale = scaleIn(canvas);
  move(state.x + (dx * STEP * canvas.width) / scale, state.y + (dy * STEP * canvas.height) / scale);
}

function drag(start) {
  const canvas = start.currentTarget;
  const ratio = canvas.width / canvas.clientWidth;
  const pixel = (event) => (event.clientX - canvas.getBoundingClientRect().left) * ratio;
  const split = state.view === "split";
  const grips = split && (!state.zoom || Math.abs(pixel(start) - placeIn(canvas).divider) < GRIP * ratio);
  const from = { x: state.x, y: state.y };
  const go = (event) => {
    const { seen, scale } = placeIn(canvas);
    if (grips) return change({ split: clamp((pixel(event) - seen[0]) / (seen[1] - seen[0]), 0, 1) });
    const by = ratio / scale;
    return move(from.x - (event.clientX - start.clientX) * by, from.y - (event.clientY - start.clientY) * by, canvas);
  };
  if (start.button !== 0) return;
  canvas.setPointerCapture(start.pointerId);
  canvas.addEventListener("pointermove", go);
  const stop = () => canvas.removeEventListener("pointermove", go);
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, stop, { once: true });
  if (grips) go(start);
}

function wheel(event) {
  if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
  event.preventDefault();
  const canvas = event.currentTarget;
  const ratio = canvas.width / canvas.clientWidth;
  zoomBy(event.deltaY < 0 ? 1 : -1, canvas, event.offsetX * ratio, event.offsetY * ratio);
}

function play() {
  cancelAnimationFrame(playing);
  const stops = playing !== 0;
  playing = 0;
  at("play").setAttribute("aria-pressed", String(!stops));
  at("play").textContent = stops ? "play" : "stop";
  if (stops) return render();
  let began = null;
  const first = state.k;
  const next = (now) => {
    began ??= now;
    const passed = first + Math.floor(((now - began) / 1000) * (data.factor / data.seconds) * state.speed);
    const turned = passed % (2 * data.factor);
    const k = Math.min(turned, 2 * data.factor - turned);
    playing = requestAnimationFrame(next);
    if (k !== state.k) change({ k });
  };
  playing = requestAnimationFrame(next);
  return undefined;
}

const KEYS = {
  j: () => slide(-SMALL),
  l: () => slide(SMALL),
  ",": () => step(-1),
  ".": () => step(1),
  f: () => change({ split: state.split < 0.5 ? 1 : 0 }),
  x: () => change({ a: state.b, b: state.a }),
  m: () => change({ b: turn(values("b"), state.b, 1) }),
  p: play,
  " ": play,
  "+": () => zoomBy(1),
  "=": () => zoomBy(1),
  "-": () => zoomBy(-1),
  0: () => zoomTo(0),
  1: () => zoomTo(1),
  w: () => pan(0, -1),
  a: () => pan(-1, 0),
  s: () => pan(0, 1),
  d: () => pan(1, 0),
  o: () => change({ overlay: turn(values("overlay"), state.overlay, 1) }),
  v: () => change({ view: turn(values("view"), state.view, 1) }),
};
const ARROWS = { ArrowUp: KEYS.w, ArrowLeft: KEYS.a, ArrowDown: KEYS.s, ArrowRight: KEYS.d };

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || target.tagName === "SELECT") return;
  const onPicture = target.tagName === "CANVAS";
  if (key === " " && !onPicture && target !== document.body) return; // buttons are pressed by it
  const act = onPicture && ARROWS[key] ? ARROWS[key] : at("keys").checked && KEYS[key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

const BUTTONS = { swap: "x", play: "p", out: "-", in: "+", fit: "0", one: "1" };
for (const [id, key] of Object.entries(BUTTONS)) at(id).addEventListener("click", () => KEYS[key]());
for (const id of ["a", "b", "view", "overlay"]) at(id).addEventListener("change", () => change({ [id]: at(id).value }));
for (const id of ["split", "opacity"]) at(id).addEventListener("input", () => change({ [id]: at(id).valueAsNumber }));
at("t").addEventListener("input", () => change({ k: at("t").valueAsNumber }));
at("speed").addEventListener("change", () => change({ speed: Number(at("speed").value) }));
addEventListener("hashchange", () => change(asked()));

at("t").max = data.factor;
for (const id of ["a", "b"]) at(id).append(...data.takes.map((take) => new Option(take.name, take.key)));
at("overlay").append(...data.maps.map((name) => new Option(name, name)));
document.documentElement.style.setProperty("--ratio", data.width / data.height);
addEventListener("load", () => {
  at("viewer").hidden = false;
  Object.assign(state, asked());
  arrange();
  render();
  document.documentElement.dataset.ready = "";
});

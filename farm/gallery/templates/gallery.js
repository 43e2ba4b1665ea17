"use strict";
// Plays one gait: films, their labels and the curves show the same moment. Nothing here is fetched from anywhere.
(() => {
  const DATA = JSON.parse(document.getElementById("gait").textContent);
  const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
  const LAST = DATA.frames - 1;
  const find = (selector) => document.querySelector(selector);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function make(parent, tag, attributes = {}, text = null) {
    const element = document.createElementNS(SVG_NAMESPACE, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== null) element.textContent = text;
    parent.append(element);
    return element;
  }

  // --- the part of a film that is shown ---------------------------------------------------------------------

  const AROUND = 1.2; // breadth of a close-up, in heights (or widths, if more) of the walker's box
  const MOST_ZOOM = 8;
  const CALM = 15; // pictures to either side over which the way of a close-up is evened out: boxes swing with arms and legs

  // For each picture the corner (x, y) in px of what is shown, and how many times as large.
  function closeUps(boxes, width, height) {
    let last = null;
    const known = boxes.map((box) => (last = box.includes(null) ? last : box));
    const first = known.find((box) => box !== null);
    if (!first) return null;
    const wanted = known.map((box) => {
      const [x0, y0, x1, y1] = box || first;
      return [(x0 + x1 + 1) / 2, (y0 + y1 + 1) / 2, Math.max(x1 - x0, y1 - y0, 4) * AROUND];
    });
    return wanted.map((_, frame) => {
      const near = wanted.slice(Math.max(0, frame - CALM), frame + CALM + 1);
      const [x, y, side] = [0, 1, 2].map((k) => near.reduce((sum, one) => sum + one[k], 0) / near.length);
      const zoom = clamp(Math.min(width, height) / side, 1, MOST_ZOOM);
      return { x: clamp(x - width / zoom / 2, 0, width - width / zoom), y: clamp(y - height / zoom / 2, 0, height - height / zoom), zoom };
    });
  }

  let closeUp = false;

  // --- labels over a film ------------------------------------------------------------------------------------

  // Labels count pixel centres from (0, 0), as the drawing's viewBox does; outlines count pixel corners.
  function overlay(svg, film, view) {
    const { width, height } = svg.viewBox.baseVal;
    const cuts = view.boxes ? closeUps(view.boxes, width, height) : null;
    const outline = make(svg, "path", { class: "outline", transform: "translate(-0.5 -0.5)" });
    const box = make(svg, "rect", { class: "box" });
    const under = DATA.bones.map(() => make(svg, "line", { class: "bone under" }));
    const bones = DATA.bones.map(() => make(svg, "line", { class: "bone" }));
    const keypoints = DATA.names.map((name) => {
      const circle = make(svg, "circle");
      make(circle, "title", {}, name.replaceAll("_", " "));
      return circle;
    });
    const rings = [0, 1].map(() => make(svg, "circle", { class: "ring" }));
    let shown = "";

    // The part of the picture that is shown: all of it, or what lies around the walker.
    function cut(frame) {
      const { x, y, zoom } = closeUp && cuts ? cuts[frame] : { x: 0, y: 0, zoom: 1 };
      svg.setAttribute("viewBox", `${x - 0.5} ${y - 0.5} ${width / zoom} ${height / zoom}`);
      film.style.transform = zoom === 1 ? "" : `scale(${zoom}) translate(${(-100 * x) / width}%, ${(-100 * y) / height}%)`;
      for (const circle of keypoints) circle.setAttribute("r", width / zoom / 110);
      for (const ring of rings) ring.setAttribute("r", width / zoom / 40);
    }

    return (frame) => {
      if (`${frame} ${closeUp}` === shown) return;
      shown = `${frame} ${closeUp}`;
      svg.dataset.frame = frame;
      cut(frame);
      const points = view.points[frame];
      const visibility = view.visibility[frame];
      const drawn = (k) => visibility[k] !== "0" && points[2 * k] !== null && points[2 * k + 1] !== null;
      outline.setAttribute("d", view.outlines ? view.outlines[frame] : "");
      const corners = view.boxes ? view.boxes[frame] : [null];
      box.classList.toggle("gone", corners.includes(null));
      if (!corners.includes(null)) {
        const [x0, y0, x1, y1] = corners;
        for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 }))
          box.setAttribute(name, value);
      }
      DATA.bones.forEach(([first, second], number) => {
        const both = drawn(first) && drawn(second);
        for (const line of [under[number], bones[number]]) {
          line.classList.toggle("gone", !both);
          if (!both) continue;
          line.setAttribute("x1", points[2 * first]);
          line.setAttribute("y1", points[2 * first + 1]);
          line.setAttribute("x2", points[2 * second]);
          line.setAttribute("y2", points[2 * second + 1]);
        }
      });
      keypoints.forEach((circle, k) => {
        circle.setAttribute("class", !drawn(k) ? "keypoint gone" : visibility[k] === "2" ? "keypoint visible" : "keypoint occluded");
        if (!drawn(k)) return;
        circle.setAttribute("cx", points[2 * k]);
        circle.setAttribute("cy", points[2 * k + 1]);
      });
      const marked = eventsAt(frame).map((event) => event.keypoint).filter((k) => k >= 0 && drawn(k));
      rings.forEach((ring, number) => {
        ring.classList.toggle("gone", number >= marked.length);
        if (number >= marked.length) return;
        ring.setAttribute("cx", points[2 * marked[number]]);
        ring.setAttribute("cy", points[2 * marked[number] + 1]);
      });
    };
  }

  function eventsAt(frame) {
    return DATA.events.filter((event) => event.frame <= frame && frame < event.frame + DATA.event_frames);
  }

  // --- curves -------------------------------------------------------------------------------------------------

  function ticks(low, high, about = 5) {
    const rough = (high - low) / about;
    const decade = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * decade).find((size) => size >= rough);
    const found = [];
    for (let n = Math.ceil(low / step); n * step <= high + 1e-9; n += 1) found.push(Number((n * step).toPrecision(6)));
    return found;
  }

  function extent(lists) {
    let low = Infinity, high = -Infinity;
    for (const list of lists)
      for (const value of list)
        if (value !== null) {
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
    return Number.isFinite(low) ? [low, high] : [0, 1];
  }

  // A line through (x(i), y(value)); it is broken where a value is missing.
  function line(values, x, y) {
    let path = "", pen = "M";
    values.forEach((value, i) => {
      if (value === null) {
        pen = "M";
        return;
      }
      path += `${pen}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    return path;
  }

  function scale([from, to], [low, high]) {
    return (value) => low + ((value - from) / (to - from || 1)) * (high - low);
  }

  // What a curve is at a time (s), between its samples; null outside.
  function valueAt(values, rate, time) {
    const at = time * rate;
    const before = Math.floor(at + 1e-9);
    const first = values[before], second = values[Math.min(before + 1, values.length - 1)];
    if (first === undefined || first === null || second === null) return null;
    return first + (second - first) * (at - before);
  }

  // One quantity over the gait cycle: band, every stride, and where each leg is now.
  function cyclePlot(parent, curve) {
    const [width, height, left, right, top, bottom] = [330, 208, 36, 8, 22, 32];
    const svg = make(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": curve.title });
    const [low, high] = extent([curve.low, curve.high, ...curve.cycles.r || [], ...curve.cycles.l || []]);
    const x = scale([0, 100], [left, width - right]);
    const y = scale([low, high], [height - bottom - 3, top + 3]);
    make(svg, "text", { class: "name", x: left, y: 13 }, curve.title);
    make(svg, "text", { x: width - right, y: 13, "text-anchor": "end" }, curve.unit);
    for (const tick of ticks(low, high)) {
      make(svg, "line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) });
      make(svg, "text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, tick);
    }
    for (const tick of [0, 25, 50, 75, 100])
      make(svg, "text", { x: x(tick), y: height - bottom + 15, "text-anchor": tick === 100 ? "end" : "middle" }, tick);
    make(svg, "text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, "% of the gait cycle");
    const back = [...curve.high].reverse().map((value, i) => `L${x(100 - i).toFixed(1)} ${y(value).toFixed(1)}`);
    make(svg, "path", { class: "band", d: `${line(curve.low, x, y)}${back.join("")}Z` });
    make(svg, "path", { class: "norm", d: line(curve.mean, x, y) });
    make(svg, "line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom });
    const legs = Object.keys(curve.sides).map((side) => ({
      side,
      strides: curve.cycles[side].map((values) => make(svg, "path", { class: `stride ${side}`, d: line(values, x, y) })),
    }));
    const dots = legs.map(({ side }) => make(svg, "circle", { class: `dot ${side} gone`, r: 5 }));
    return (time) => legs.forEach(({ side, strides }, number) => {
      const now = curve.strides[side].findIndex(([start, end]) => start <= time && time < end);
      strides.forEach((path, stride) => path.classList.toggle("now", stride === now));
      const value = now < 0 ? null : valueAt(curve.sides[side], curve.rate, time);
      dots[number].classList.toggle("gone", value === null);
      if (value === null) return;
      const [start, end] = curve.strides[side][now];
      dots[number].setAttribute("cx", x((100 * (time - start)) / (end - start)).toFixed(2));
      dots[number].setAttribute("cy", y(value).toFixed(2));
    });
  }

  // Something over the whole walk, with a cursor.
  function timePlot(parent, height, name, last, content) {
    const [width, left, right] = [1500, 150, 10];
    const svg = make(parent, "svg", { viewBox: `0 0 ${width} ${height + (last ? 20 : 0)}`, role: "img", "aria-label": `${name} over time` });
    const x = scale([0, DATA.frames / DATA.rate], [left, width - right]);
    for (const tick of ticks(0, DATA.frames / DATA.rate, 10)) {
      make(svg, "line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height });
      if (last) make(svg, "text", { x: x(tick), y: height + 15, "text-anchor": "middle" }, `${tick} s`);
    }
    make(svg, "text", { class: "name", x: 0, y: height / 2 + 4 }, name);
    content(svg, x, left);
    const cursor = make(svg, "line", { class: "cursor", y1: 0, y2: height });
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * width;
      seek(Math.round(((at - left) / (width - right - left)) * (DATA.frames / DATA.rate) * DATA.rate));
    });
    return (time) => {
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(time).toFixed(2));
    };
  }

  function plots() {
    const cycles = find(".cycles"), times = find(".times");
    if (!cycles) return [];
    const follow = DATA.curves.map((curve) => cyclePlot(cycles, curve));
    for (const curve of DATA.curves) {
      const [low, high] = extent(Object.values(curve.sides));
      follow.push(timePlot(times, 74, curve.title, false, (svg, x, left) => {
        const y = scale([low, high], [69, 5]);
        for (const tick of ticks(low, high, 2)) make(svg, "text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick);
        for (const [side, values] of Object.entries(curve.sides))
          make(svg, "path", { class: `curve ${side}`, d: line(values, (i) => x(i / curve.rate), y) });
      }));
    }
    follow.push(timePlot(times, 36, "on the floor", true, (svg, x, left) => {
      for (const [side, y] of [["r", 4], ["l", 20]]) {
        make(svg, "text", { x: left - 6, y: y + 11, "text-anchor": "end" }, side === "r" ? "right" : "left");
        for (const [start, end] of DATA.stances[side])
          make(svg, "rect", { class: `stance ${side}`, x: x(start).toFixed(1), y, width: (x(end) - x(start)).toFixed(1), height: 12 });
      }
    }));
    return follow;
  }

  // --- playing ------------------------------------------------------------------------------------------------

  const films = [...document.querySelectorAll(".views video")];
  const master = films[0];
  const labels = films.map((film, number) => overlay(film.parentElement.querySelector("svg"), film, DATA.views[number]));
  const follow = plots();
  const slider = find("#frame"), now = find("#now"), play = find("#play");
  let playing = false;

  function show(frame) {
    const time = frame / DATA.rate;
    for (const move of follow) move(time);
    slider.value = frame;
    const words = eventsAt(frame).map((event) => event.words);
    now.value = [`${time.toFixed(2)} s`, `picture ${frame} of ${DATA.frames}`, ...words].join(" · ");
  }

  // Labels follow the picture that is on the screen, not the clock: the browser says which one that is.
  function watch(film, number) {
    const draw = (frame) => {
      labels[number](frame);
      if (film !== master) return;
      show(frame);
      if (playing)
        for (const other of films.slice(1))
          if (!other.seeking && Math.abs(other.currentTime - master.currentTime) > 2 / DATA.rate)
            other.currentTime = master.currentTime;
    };
    if (film.requestVideoFrameCallback) {
      const shown = (_, metadata) => {
        draw(clamp(Math.round(metadata.mediaTime * DATA.rate), 0, LAST));
        film.requestVideoFrameCallback(shown);
      };
      film.requestVideoFrameCallback(shown);
    } else {
      const look = () => {
        draw(clamp(Math.floor(film.currentTime * DATA.rate + 0.01), 0, LAST));
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }
    // A film that is sought may already show the wanted picture, of which the browser does not tell again.
    film.addEventListener("seeked", () => {
      if (!playing) draw(clamp(Math.floor(film.currentTime * DATA.rate + 0.01), 0, LAST));
    });
    film.addEventListener("error", () => {
      const caption = film.closest("figure").querySelector("figcaption");
      caption.textContent += `: this browser cannot play ${film.getAttribute("src")}; its labels are drawn without it`;
      caption.classList.add("failed");
    });
  }

  // Half a picture in: at a picture's very beginning a rounded number may mean the one before.
  function seek(frame) {
    frame = clamp(frame, 0, LAST);
    films.forEach((film, number) => {
      if (film.error) labels[number](frame);
      film.currentTime = (frame + 0.5) / DATA.rate;
    });
    if (master.error || !playing) show(frame);
  }

  function run(wanted) {
    playing = wanted;
    play.textContent = playing ? "Pause" : "Play";
    if (playing) {
      if (master.ended) seek(0);
      for (const film of films) {
        if (film !== master) film.currentTime = master.currentTime;
        film.play().catch(() => {}); // what cannot be played has said so by its error event
      }
    } else {
      for (const film of films) film.pause();
      seek(Number(slider.value));
    }
  }

  play.addEventListener("click", () => run(!playing));
  find("#back").addEventListener("click", () => step(-1));
  find("#forth").addEventListener("click", () => step(1));
  find("#speed").addEventListener("change", (event) => films.forEach((film) => (film.playbackRate = Number(event.target.value))));
  slider.addEventListener("input", () => {
    if (playing) run(false);
    seek(Number(slider.value));
  });
  master.addEventListener("ended", () => {
    if (!playing) return;
    seek(0);
    run(true);
  });
  for (const tick of document.querySelectorAll("[data-layer]")) {
    const apply = () => document.body.classList.toggle(`hide-${tick.dataset.layer}`, !tick.checked);
    tick.addEventListener("change", apply);
    apply();
  }

  const close = find("#close");
  if (close)
    close.addEventListener("change", () => {
      closeUp = close.checked;
      labels.forEach((draw, number) => draw(Number(films[number].parentElement.querySelector("svg").dataset.frame)));
    });

  function step(by) {
    const frame = Number(slider.value) + by;
    if (playing) run(false);
    seek(frame);
  }

  document.addEventListener("keydown", (event) => {
    if (["SELECT", "INPUT", "BUTTON"].includes(event.target.tagName) || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " ") run(!playing);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else return;
    event.preventDefault();
  });

  films.forEach(watch);
  for (const draw of labels) draw(0);
  show(0);
})();

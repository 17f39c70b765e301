"use strict";
// Ratings of captions by one person. What was rated stays in this browser until it is exported or cleared.
(() => {
  const sheet = JSON.parse(document.getElementById("data").textContent);
  const pictures = sheet.pictures;
  const part = (id) => document.getElementById(id);
  const letter = (place) => String.fromCharCode(65 + place);
  const key = `sweep-rating:${sheet.sweep}:${sheet.page}`;
  const SCALES = [["accuracy", "Accuracy"], ["fluency", "Fluency"]];

  // --- what was rated: by image, the ratings by system and what is preferred (a system, -1: none) ---
  let state = { rater: "", place: 0, rated: {} };
  let keeps = true;
  let unsaved = false;
  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept && typeof kept.rated === "object" && kept.rated) state = { ...state, ...kept };
    } catch (_) { keeps = false; }
    if (!pictures[state.place]) state.place = 0;
  };
  const save = () => {
    unsaved = true;
    try { localStorage.setItem(key, JSON.stringify(state)); } catch (_) { keeps = false; }
  };
  const of = (picture) => state.rated[picture.image] || (state.rated[picture.image] = { captions: {} });
  const value = (picture, system, scale) => ((state.rated[picture.image] || { captions: {} }).captions[system] || {})[scale];
  const preferred = (picture) => (state.rated[picture.image] || {}).preferred;
  const isDone = (picture) => preferred(picture) !== undefined &&
    picture.captions.every(({ system }) => SCALES.every(([scale]) => value(picture, system, scale) !== undefined));

  // --- the picture on show: lines of choices, one of them marked for the keys ---
  let lines = [];
  let marked = 0;
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const line = (name, legend, choices, chosen, choose) => {
    const place = lines.length;
    const field = element("fieldset", "line");
    field.append(element("legend", "", legend));
    const inputs = choices.map(([number, text]) => {
      const label = element("label", "choice");
      const input = element("input");
      Object.assign(input, { type: "radio", name, value: number, checked: number === chosen });
      input.addEventListener("change", () => { choose(number); changed(); });
      label.append(input, element("span", "", text));
      field.append(label);
      return input;
    });
    field.addEventListener("focusin", () => mark(place));
    lines.push({ field, inputs, isOpen: () => inputs.every((input) => !input.checked) });
    return field;
  };
  const mark = (place) => {
    marked = Math.max(0, Math.min(place, lines.length - 1));
    lines.forEach(({ field }, other) => field.classList.toggle("marked", other === marked));
  };
  const enter = (place) => {
    mark(place);
    const { inputs } = lines[marked];
    (inputs.find((input) => input.checked) || inputs[0]).focus();
  };
  const choose = (place, number) => {
    const input = lines[place].inputs.find((one) => one.value === String(number));
    if (!input) return;
    if (!input.checked) input.click();
    enter(place + 1 < lines.length ? place + 1 : place);
  };
  const changed = () => {
    save();
    progress();
  };
  const show = () => {
    const picture = pictures[state.place];
    lines = [];
    part("heading").textContent = `Picture ${state.place + 1} of ${pictures.length}`;
    Object.assign(part("picture"), { src: picture.url, alt: `Picture ${state.place + 1}` });
    const captions = picture.captions.map(({ system, text }, place) => {
      const group = element("fieldset", "caption");
      group.append(element("legend", "", `Caption ${letter(place)}`), element("p", "", text));
      for (const [scale, legend] of SCALES) {
        const numbers = [1, 2, 3, 4, 5].map((number) => [number, number]);
        group.append(line(`${scale}-${place}`, legend, numbers, value(picture, system, scale), (number) => {
          const rated = of(picture).captions;
          rated[system] = { ...rated[system], [scale]: number };
        }));
      }
      return group;
    });
    const choices = picture.captions.map(({ system }, place) => [system, `Caption ${letter(place)}`]);
    const field = line("preference", "Which would you rather have?", [...choices, [-1, "No preference"]], preferred(picture), (system) => {
      of(picture).preferred = system;
    });
    field.classList.add("wide-legend");
    part("form").replaceChildren(...captions, field);
    part("previous").disabled = state.place === 0;
    const open = lines.findIndex((one) => one.isOpen());
    mark(open < 0 ? 0 : open);
    progress();
  };
  const progress = () => {
    const done = pictures.filter(isDone).length;
    Object.assign(part("progress"), { max: pictures.length, value: done });
    part("count").textContent = `${done} of ${pictures.length}`;
  };
  const say = (text) => { part("message").textContent = text; };
  const go = (place) => {
    state.place = place;
    save();
    show();
    part("heading").focus();
    scrollTo({ top: Math.min(scrollY, part("heading").offsetTop - 8) });
  };
  const next = () => {
    say("");
    if (state.place + 1 < pictures.length) return go(state.place + 1);
    const open = pictures.findIndex((picture) => !isDone(picture));
    if (open >= 0 && open !== state.place) {
      say("That was the last picture. This one is not finished.");
      return go(open);
    }
    say(open < 0 ? "All pictures are rated. Export your ratings and send the file." : "This is the last picture that is not finished.");
  };
  const previous = () => {
    say("");
    if (state.place > 0) go(state.place - 1);
  };

  // --- the file ---
  const content = () => {
    const ratings = [];
    const preferences = [];
    for (const picture of pictures) {
      const { image } = picture;
      for (const { system, text } of picture.captions) {
        const [accuracy, fluency] = SCALES.map(([scale]) => value(picture, system, scale) ?? null);
        if (accuracy || fluency) ratings.push({ image, system: sheet.systems[system], accuracy, fluency, caption: text });
      }
      const choice = preferred(picture);
      if (choice !== undefined) preferences.push({ image, preferred: choice < 0 ? null : sheet.systems[choice] });
    }
    return { v: sheet.v, sweep: sheet.sweep, page: sheet.page, rater: state.rater.trim(), systems: sheet.systems, ratings, preferences };
  };
  const download = () => {
    if (!state.rater.trim()) {
      say("Type your name first.");
      return part("rater").focus();
    }
    const file = new Blob([JSON.stringify(content(), null, 1) + "\n"], { type: "application/json" });
    const link = element("a");
    link.href = URL.createObjectURL(file);
    link.download = `rating-${sheet.sweep}-${state.rater.trim()}.json`.replace(/[^\p{L}\p{N}._-]+/gu, "-");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    const open = pictures.length - pictures.filter(isDone).length;
    say(open ? `Exported. ${open} of ${pictures.length} pictures are not finished yet.` : "Exported: all pictures.");
  };
  const clear = () => {
    if (!confirm("Forget the name and all ratings of this page?")) return;
    state = { rater: "", place: 0, rated: {} };
    part("rater").value = "";
    go(0);
    unsaved = false;
    say("");
  };

  // --- keys ---
  const byKey = (event) => {
    const { target } = event;
    const types = target.matches("input[type=text], textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || types || !part("keys").checked) return false;
    const pressed = event.key.toLowerCase();
    const last = lines.length - 1;
    const caption = pressed.length === 1 ? pressed.charCodeAt(0) - 97 : -1;
    if (/^[1-5]$/.test(pressed) && marked < last) choose(marked, pressed);
    else if (/^[1-9]$/.test(pressed) && marked === last && pictures[state.place].captions[pressed - 1]) choose(last, pictures[state.place].captions[pressed - 1].system);
    else if (pressed === "0") choose(last, -1);
    else if (pressed === "j") enter(marked + 1);
    else if (pressed === "k") enter(marked - 1);
    else if (caption >= 0 && caption < Math.min(9, pictures[state.place].captions.length)) choose(last, pictures[state.place].captions[caption].system);
    else if (pressed === "enter" && !target.matches("button, summary, a")) next();
    else if (pressed === "backspace") previous();
    else return false;
    return true;
  };
  document.addEventListener("keydown", (event) => { if (byKey(event)) event.preventDefault(); });

  load();
  part("rater").value = state.rater;
  part("rater").addEventListener("input", () => { state.rater = part("rater").value; say(""); save(); });
  part("form").addEventListener("submit", (event) => event.preventDefault());
  part("next").addEventListener("click", next);
  part("previous").addEventListener("click", previous);
  part("export").addEventListener("click", download);
  part("clear").addEventListener("click", clear);
  addEventListener("beforeunload", (event) => { if (unsaved && !keeps) event.preventDefault(); });
  show();
  save();
  unsaved = false;
  if (!keeps) say("This browser keeps nothing for this page: export your ratings before you close it.");
})();

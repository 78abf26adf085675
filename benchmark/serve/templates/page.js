"use strict";
// State: the query's image is a row of the gallery, or a file that is sent with every query.
const $ = (id) => document.getElementById(id);
const state = { row: null, file: null, fileUrl: null, seed: Math.floor(Math.random() * 1e6), asked: 0, said: 0 };
const COLOURS = new Set(["gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow"]);
const BUSY_AFTER = 500; // ms
const narrow = matchMedia("(max-width: 60rem)");

// Elements are made from text alone, so that no name or text can become markup.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

async function ask(path, parameters, file) {
  const address = `${path}?${new URLSearchParams(parameters)}`;
  const options = file ? { method: "POST", body: file, headers: { "content-type": file.type } } : {};
  let reply;
  try {
    reply = await fetch(address, options);
  } catch {
    throw new Error("the server does not answer: is tirg-bench serve still running?");
  }
  const found = await reply.json().catch(() => ({ error: `the server answered with ${reply.status}` }));
  if (!reply.ok) throw new Error(found.error);
  return found;
}

function fail(error) {
  $("error").textContent = error.message;
  $("error").hidden = false;
}

const images = Number(document.body.dataset.images).toLocaleString("en");
const picture = (row, ofQuery = false) => `picture/${row}.webp?started=${document.body.dataset.started}${ofQuery ? "&of=query" : ""}`;
const sceneText = (scene) => scene ?? "an image whose content is not known";

function showScene(scene) {
  const parts = scene === null ? [] : scene === "nothing" || scene === "" ? ["nothing"] : scene.split("; ");
  $("scene").replaceChildren(...parts.map((part) => {
    const [cell, ...rest] = part.split(" ");
    return rest.length ? make("li", {}, make("b", {}, cell), rest.join(" ")) : make("li", {}, part);
  }));
}

// The query's image

async function chooseRow(row, { keepFocus = true } = {}) {
  $("error").hidden = true;
  const found = await ask(`api/images/${row}`, {});
  setFile(null);
  state.row = found.row;
  showSource(picture(found.row, true), `Test image ${found.row}`, found.scene);
  $("row").value = found.row;
  $("texts").replaceChildren(...found.texts.map((text) => make("button", { type: "button", onclick: () => useText(text) }, text)));
  $("examples").hidden = !found.texts.length;
  for (const button of $("strip").children) button.setAttribute("aria-pressed", String(Number(button.dataset.row) === row));
  if (!keepFocus) $("text").focus();
  return found;
}

function chooseFile(file) {
  if (!file) return;
  $("error").hidden = true;
  const types = document.body.dataset.imageTypes.split(",");
  const most = Number(document.body.dataset.mostBytes);
  if (!types.includes(file.type)) return fail(new Error(`${file.name}: expected a JPEG or PNG image`));
  if (file.size > most) return fail(new Error(`${file.name}: has more than ${most / 2 ** 20} MB; make it smaller`));
  setFile(file);
  state.row = null;
  $("row").value = "";
  showSource(state.fileUrl, file.name, null);
  $("examples").hidden = true;
  for (const button of $("strip").children) button.setAttribute("aria-pressed", "false");
  $("text").focus();
}

function setFile(file) {
  if (state.fileUrl) URL.revokeObjectURL(state.fileUrl);
  state.file = file;
  state.fileUrl = file && URL.createObjectURL(file);
  if (!file) $("file").value = "";
}

function showSource(address, name, scene) {
  $("source").src = address;
  $("source").alt = `The query's image. ${scene === null ? name : sceneText(scene)}`;
  $("source").hidden = false;
  $("name").textContent = name;
  showScene(scene);
}

async function fillStrip() {
  const images = await ask("api/images", { seed: state.seed, count: 6 });
  $("strip").replaceChildren(...images.map(({ row, scene }) => make(
    "button",
    { type: "button", "data-row": row, "aria-pressed": String(row === state.row), onclick: () => chooseRow(row).catch(fail) },
    make("img", { src: picture(row, true), alt: `Image ${row}: ${sceneText(scene)}`, width: 224, height: 224, loading: "lazy" }),
  )));
  return images;
}

// The text, completed word by word

let choice = -1;

async function offerWords() {
  const turn = ++state.said;
  const found = await ask("api/complete", { text: $("text").value });
  if (turn !== state.said) return;
  choice = -1;
  $("text").removeAttribute("aria-activedescendant");
  $("words").replaceChildren(...found.words.map((word, place) => make(
    "li",
    {
      id: `word-${place}`, role: "option", "aria-selected": "false", class: COLOURS.has(word) ? `dot ${word}` : "",
      onmousedown: (event) => event.preventDefault(), onclick: () => takeWord(found.keep, word),
    },
    word,
  )));
  $("text").setAttribute("aria-expanded", String(found.words.length > 0));
  $("words").dataset.keep = found.keep;
}

function takeWord(keep, word) {
  $("text").focus();
  $("text").value = `${keep}${word} `;
  offerWords().catch(fail);
}

function moveChoice(step) {
  const options = [...$("words").children];
  if (!options.length) return;
  choice = choice < 0 && step < 0 ? options.length - 1 : choice + step;
  if (choice >= options.length) choice = -1;
  options.forEach((option, place) => option.setAttribute("aria-selected", String(place === choice)));
  if (choice < 0) $("text").removeAttribute("aria-activedescendant");
  else $("text").setAttribute("aria-activedescendant", options[choice].id);
}

function useText(text) {
  $("text").value = text;
  offerWords().catch(fail);
  search();
}

// Search

async function search({ scroll = true } = {}) {
  const text = $("text").value.trim();
  $("error").hidden = true;
  if (state.row === null && !state.file) return fail(new Error("choose an image first"));
  if (!text) { $("text").focus(); return fail(new Error("say what to change, such as “make top-left object red”")); }
  const turn = ++state.asked;
  const names = [...new Set([$("first").value, $("second").value].filter(Boolean))];
  $("answers").setAttribute("aria-busy", "true");
  $("status").textContent = "Searching";
  let waiting;
  try {
    const found = [];
    // One after the other, so that the times shown are those of one query.
    for (const composer of names) {
      clearTimeout(waiting);
      waiting = setTimeout(() => turn === state.asked && showBusy(composer), BUSY_AFTER);
      const image = state.file ? {} : { image: state.row };
      const k = narrow.matches && names.length > 1 ? 12 : 24;
      found.push(await ask("api/search", { composer, text, k, ...image }, state.file));
      if (turn !== state.asked) return;
    }
    showAnswers(found, text);
    remember(text);
    if (narrow.matches && scroll) $("results").scrollIntoView({ block: "start" });
  } catch (error) {
    if (turn === state.asked) { fail(error); $("status").textContent = ""; }
  } finally {
    clearTimeout(waiting);
    if (turn === state.asked) { $("answers").removeAttribute("aria-busy"); $("busy").hidden = true; }
  }
}

function showBusy(composer) {
  $("busy").textContent = `Loading ${composer} and encoding ${images} images with it. Only its first query waits for that.`;
  $("busy").hidden = false;
}

function remember(text) {
  const query = { ...(state.row === null ? {} : { image: state.row }), text, first: $("first").value };
  if ($("second").value) query.second = $("second").value;
  history.replaceState(null, "", `?${new URLSearchParams(query)}`);
}

function showAnswers(found, text) {
  const [one] = found;
  if (state.file && one.image.scene !== null) showScene(one.image.scene);
  showTruth(one, text);
  $("answers").className = found.length > 1 ? "two" : "one";
  $("answers").replaceChildren(...found.map((each) => composerColumn(each, text)));
  const heard = found.map((each) => `${each.composer}: ${summary(each)}, ${each.milliseconds} milliseconds`);
  $("status").textContent = heard.join(". ");
}

function showTruth(one, text) {
  const parts = [];
  const say = (title, why) => parts.push(make("div", { class: "told" }, make("h2", {}, title), make("p", {}, why)));
  if (!one.applies) say("No image is right", "The text does not apply to what the image shows.");
  else if (one.relevant === null && one.image.scene === null) say("Not judged", "What the image shows is not known exactly, so no answer is marked as right or wrong.");
  else if (one.relevant === null) say("Not judged", "The text is not in the grammar of the dataset, so no answer is marked as right or wrong.");
  else if (one.relevant === 0) say("No right answer in the gallery", "No image shows the query's scene after the change. Every text that the dataset asks of an image has a right answer.");
  else {
    const number = one.relevant.toLocaleString("en");
    say(one.relevant === 1 ? "1 right answer in the gallery" : `${number} right answers in the gallery`,
      "Every image that shows the query's scene after the change.");
    const rows = one.right.map((row, place) => make(
      "button",
      { type: "button", onclick: () => chooseRow(row).catch(fail), title: "Start from this image" },
      make("img", { src: picture(row), alt: `Right answer ${place + 1}: image ${row}. Start from it.`, width: 224, height: 224 }),
    ));
    if (rows.length) parts.push(make("div", { class: "rights" }, ...rows));
  }
  $("truth").replaceChildren(...parts);
  $("truth").hidden = !parts.length;
}

function summary(found) {
  const right = found.answers.filter((answer) => answer.is_relevant);
  if (found.relevant === null || !found.applies) return `${found.candidates.toLocaleString("en")} images ranked`;
  if (!right.length) return `no right answer among the first ${found.answers.length}`;
  return right[0].rank === 1 ? "right at rank 1" : `first right answer at rank ${right[0].rank}`;
}

function composerColumn(found, text) {
  const notes = found.notes.map((note) => make("p", { class: "note" }, note));
  const cards = found.answers.map((answer) => card(found, answer, text));
  return make(
    "section", { class: "composer", "aria-label": `Answers of ${found.composer}` },
    make("h2", {}, found.composer),
    make("p", {}, make("b", {}, summary(found)), ` · ${found.milliseconds} ms · ${found.recipe}`),
    ...notes, make("ol", { class: "cards" }, ...cards),
  );
}

function card(found, answer, text) {
  const known = answer.is_relevant !== null && found.applies;
  const verdict = !known ? "" : answer.is_relevant ? "right" : answer.verdict?.kind ?? "not relevant";
  const heard = (text) => make("span", { class: "hidden" }, text);
  const parts = [
    make("img", { src: picture(answer.row), alt: "", width: 224, height: 224, loading: "lazy" }),
    make(
      "span", { class: "rank" },
      make("span", {}, heard("Rank "), make("b", {}, String(answer.rank))),
      make("span", {}, heard(" similarity "), answer.similarity.toFixed(3)),
    ),
  ];
  if (verdict) parts.push(make("span", { class: "verdict" }, verdict));
  parts.push(heard(`: ${answer.scene ?? `image ${answer.row}`}`));
  return make(
    "li", { class: known ? (answer.is_relevant ? "right" : "wrong") : "" },
    make("button", { type: "button", onclick: () => showDetail(found, answer, text) }, ...parts),
  );
}

// One answer, with the reason

function showDetail(found, answer, text) {
  const { verdict } = answer;
  const kind = verdict ? verdict.kind : answer.is_relevant === false ? "not relevant" : "image";
  $("detail-title").textContent = `${found.composer}, rank ${answer.rank}: ${kind}`;
  $("detail-meaning").textContent = verdict ? verdict.meaning : "What the image shows, or what the text asks for, is not known exactly.";
  const figures = [[$("source").src, "The query's image"], [picture(answer.row), `Answer ${answer.rank}, image ${answer.row}`]];
  if (found.right.length && !answer.is_relevant) figures.push([picture(found.right[0]), `A right answer, image ${found.right[0]}`]);
  $("detail-images").replaceChildren(...figures.map(([src, caption]) => make(
    "figure", {}, make("img", { src, alt: "", width: 224, height: 224 }), make("figcaption", {}, caption),
  )));
  $("detail-cells").replaceChildren(...(verdict?.cells.length ? [cellTable(verdict, text)] : []));
  $("detail-scene").textContent = answer.scene ? `It shows: ${answer.scene}` : "";
  $("continue").onclick = () => { $("detail").close(); chooseRow(answer.row, { keepFocus: false }).then(() => scrollTo(0, 0)).catch(fail); };
  $("detail").showModal();
}

function cellTable(verdict, text) {
  const row = ({ cell, shown: [before, wanted, shows] }) => make(
    "tr", {}, make("th", { scope: "row" }, cell), make("td", {}, before), make("td", {}, wanted),
    make("td", { class: wanted === shows ? "agrees" : "differs" }, shows),
  );
  const heads = ["Cell", "Query", "Should be", "Answer"].map((head) => make("th", { scope: "col" }, head));
  return make(
    "div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `Cells that “${text}” or the answer changes` },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...verdict.cells.map(row))),
  );
}

// Events

$("form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("more").addEventListener("click", () => { state.seed += 1; fillStrip().catch(fail); });
$("file").addEventListener("change", () => chooseFile($("file").files[0]));
$("row").addEventListener("change", () => { if ($("row").value !== "") chooseRow(Number($("row").value)).catch(fail); });
$("row").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); $("row").dispatchEvent(new Event("change")); } });
$("clear").addEventListener("click", () => { $("text").value = ""; $("text").focus(); offerWords().catch(fail); });
$("text").addEventListener("focus", () => $("text").select());
$("text").addEventListener("input", () => offerWords().catch(fail));
$("text").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") { event.preventDefault(); moveChoice(1); }
  else if (event.key === "ArrowUp") { event.preventDefault(); moveChoice(-1); }
  else if (event.key === "Enter" && choice >= 0) { event.preventDefault(); takeWord($("words").dataset.keep, $("words").children[choice].textContent); }
  else if (event.key === "Escape") { choice = -2; moveChoice(1); }
});
for (const name of ["first", "second"]) $(name).addEventListener("change", () => { if ($("text").value.trim()) search(); });
for (const name of ["dragover", "drop", "dragleave"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") chooseFile(event.dataTransfer.files[0]);
  });
}
$("detail").addEventListener("click", (event) => { if (event.target === $("detail")) $("detail").close(); });

async function start() {
  const query = new URLSearchParams(location.search);
  for (const name of ["first", "second"]) {
    if ([...$(name).options].some((option) => option.value === query.get(name))) $(name).value = query.get(name);
  }
  const others = await fillStrip();
  const asked = query.get("image") ?? "";
  const found = await chooseRow(/^\d{1,9}$/.test(asked) ? Number(asked) : others[0].row);
  // A page that already shows an answer explains itself.
  $("text").value = query.get("text") ?? found.texts[0] ?? "";
  await offerWords();
  if ($("text").value.trim()) await search({ scroll: false });
}
start().catch(fail);

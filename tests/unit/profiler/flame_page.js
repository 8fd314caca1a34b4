// Runs the script of a flame graph page without a browser, and tells what it draws.
"use strict";
const { script, data } = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));

class Element {
  constructor() { this.children = []; this.style = {}; this.value = ""; this.textContent = ""; this.className = ""; }
  append(child) { this.children.push(child); }
  replaceChildren() { this.children = []; }
  get clientWidth() { return 1000; }
}

const elements = {};
for (const id of ["data", "graph", "said", "word", "reset"]) elements[id] = new Element();
elements.data.textContent = data;
const document = { getElementById: id => elements[id], createElement: () => new Element() };
const window = {};
new Function("document", "window", script)(document, window);

const boxes = () => elements.graph.children;
const width = box => Math.round(parseFloat(/width:([\d.]+)px/.exec(box.style.cssText)[1]));
const drawn = () => boxes().map(box => [box.textContent, width(box)]).sort((a, b) =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1]);
const told = { whole: drawn() };
boxes().find(box => box.textContent.startsWith("Engine") && width(box) > 500).onclick();
told.zoomed = drawn();
elements.word.value = "price";
elements.word.oninput();
told.found = boxes().filter(box => box.className === "found").map(box => box.textContent);
boxes().find(box => box.textContent.startsWith("price")).onmouseenter();
told.said = elements.said.textContent;
elements.word.value = "";
elements.reset.onclick();
window.onresize();
told.back = boxes().length;
console.log(JSON.stringify(told));

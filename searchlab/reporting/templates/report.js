"use strict";
// Sorting, filtering and copying in the table of all trials. Without this script the table is complete and in order.
document.querySelectorAll("table[data-trials]").forEach(function (table) {
  var body = table.tBodies[0], rows = Array.from(body.rows), headers = Array.from(table.tHead.rows[0].cells);
  var bar = document.createElement("p"), search = document.createElement("input"), states = document.createElement("select");
  var shown = document.createElement("span");
  bar.className = "controls";
  search.type = "search";
  search.placeholder = "filter, such as adam 128";
  search.setAttribute("aria-label", "Show the trials with these words");
  states.setAttribute("aria-label", "Show the trials in this state");
  shown.setAttribute("role", "status");
  var names = ["all states"].concat(Array.from(new Set(rows.map(function (row) { return row.dataset.state; }))));
  names.forEach(function (name, place) { states.add(new Option(name, place ? name : "")); });
  bar.append(search, states, shown);
  table.closest(".scroll").before(bar);
  var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });

  function filter() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean), count = 0;
    rows.forEach(function (row, place) {
      var visible = (!states.value || row.dataset.state === states.value) &&
        words.every(function (word) { return texts[place].includes(word); });
      row.hidden = !visible;
      count += visible ? 1 : 0;
    });
    shown.textContent = count.toLocaleString("en") + " of " + rows.length.toLocaleString("en");
  }

  function value(row, column) {
    var cell = row.cells[column], text = cell ? cell.textContent.trim() : "";
    var number = Number(text.replace(/,/g, ""));
    return text === "" ? null : Number.isNaN(number) ? text : number;
  }

  function compare(a, b) {
    if (typeof a === typeof b) { return a < b ? -1 : a > b ? 1 : 0; }
    return typeof a === "number" ? -1 : 1;
  }

  function sort(header) {
    var descending = header.getAttribute("aria-sort") === "ascending", column = header.cellIndex;
    headers.forEach(function (other) { other.removeAttribute("aria-sort"); });
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    var keyed = rows.map(function (row, place) { return [value(row, column), place, row]; });
    keyed.sort(function (a, b) {
      if (a[0] === null || b[0] === null) { return (a[0] === null) - (b[0] === null) || a[1] - b[1]; }
      return (descending ? -1 : 1) * compare(a[0], b[0]) || a[1] - b[1];
    });
    keyed.forEach(function (item) { body.append(item[2]); });
  }

  headers.forEach(function (header) {
    if (!header.textContent.trim() || header.dataset.fixed) { return; }
    var button = document.createElement("button");
    button.type = "button";
    button.append.apply(button, Array.from(header.childNodes));
    button.addEventListener("click", function () { sort(header); });
    header.append(button);
  });
  search.addEventListener("input", filter);
  states.addEventListener("change", filter);
  filter();
});

function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) { return navigator.clipboard.writeText(text); }
  var area = document.createElement("textarea");  // a page opened as a file has no clipboard of its own in some browsers
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return Promise.resolve();
}

document.querySelectorAll("button[data-copy]").forEach(function (button) {
  button.hidden = false;
  button.addEventListener("click", function () {
    var label = button.textContent;
    copyText(button.dataset.copy).then(function () { button.textContent = "copied"; }, function () { button.textContent = "not copied"; });
    setTimeout(function () { button.textContent = label; }, 1500);
  });
});

window.addEventListener("beforeprint", function () {
  document.querySelectorAll("details").forEach(function (details) { details.open = true; });
});

// Runs Grafana's own code (@grafana/data) on the boards' real frames: transformations, units, mappings, thresholds.
// node grafana_data.cjs FOLDER < jobs.json > answers.json      FOLDER holds node_modules with @grafana/data and jsdom.
// A job is {frames, transformations, configs: {field name: config}}; an answer lists each field's name, type and what
// Grafana shows for every value. See grafana/README.md, "Checked with Grafana's own code".
const fs = require("fs");
const path = require("path");
const folder = path.resolve(process.argv[2]);
const need = (name) => require(require.resolve(name, { paths: [folder] }));

const page = new (need("jsdom").JSDOM)("<!doctype html>", { url: "http://localhost/" });
Object.assign(global, { window: page.window, document: page.window.document, localStorage: page.window.localStorage,
  Element: page.window.Element, HTMLElement: page.window.HTMLElement, location: page.window.location, navigator: page.window.navigator });
const g = need("@grafana/data");
const { firstValueFrom } = need("rxjs");

const known = new Map(Object.values(g.standardTransformers).map((t) => [t.id, t]));
const lazily = process.argv[3] === "lazy"; // newer releases load a transformation when it is first used
g.standardTransformersRegistry.setInit(() => [...known.values()].map((t) => ({ id: t.id, name: t.name, description: "",
  isApplicable: t.isApplicable, transformation: lazily ? () => Promise.resolve(t) : t })));

async function answer(job) {
  const frames = job.frames.map((f) => g.toDataFrame({ refId: f.refId, fields: f.fields.map((x) => ({ name: x.name,
    type: x.type, values: x.values, config: x.display ? { displayNameFromDS: x.display } : {} })) }));
  const made = await firstValueFrom(g.transformDataFrame(job.transformations, frames));
  return made.map((frame) => frame.fields.map((field) => {
    const config = job.configs[field.config.displayNameFromDS || field.name] || job.configs[field.name] || {};
    const show = g.getDisplayProcessor({ field: { ...field, config }, theme: g.createTheme(), timeZone: job.timezone });
    const values = Array.from(field.values);
    return { name: field.name, type: field.type, values,
      shown: values.map((v) => { const d = show(v); return { text: g.formattedValueToString(d), color: d.color }; }) };
  }));
}

(async () => {
  const answers = [];
  for (const job of JSON.parse(fs.readFileSync(0, "utf8"))) answers.push(await answer(job));
  const modes = g.fieldColorModeRegistry.list().map((m) => m.id);
  const units = g.getValueFormats().flatMap((group) => group.submenu.map((u) => u.value));
  process.stdout.write(JSON.stringify({ answers, modes, units }));
})();

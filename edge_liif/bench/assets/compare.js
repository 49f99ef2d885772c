const { names, facts: lines } = embedded();
const [before, after] = [byId("before"), byId("after")];
byId("pictures").remove();
byId("viewer").append(slider({ before, after, names: [names.before, names.after], fit: true }));
facts(byId("facts"), Object.entries(lines));

// A page that renews itself must not lose the place where somebody reads, nor close what they opened, nor what they chose.
try {
  const key = "tandem:" + location.pathname, kept = JSON.parse(sessionStorage.getItem(key) || "{}");
  const folds = () => [...document.querySelectorAll("details")];
  const choices = () => [...document.querySelectorAll("input")];
  folds().forEach((fold, i) => { fold.open = (kept.open || [])[i] || fold.open; });
  choices().forEach((one) => { one.checked = (kept.chosen || []).includes(one.id) || one.checked; });
  scrollTo(0, kept.y || 0);
  addEventListener("load", () => scrollTo(0, kept.y || 0));
  addEventListener("pagehide", () => sessionStorage.setItem(key, JSON.stringify({
    y: scrollY,
    open: folds().map((fold) => fold.open),
    chosen: choices().filter((one) => one.checked).map((one) => one.id),
  })));
} catch (error) { console.info("the reading place is not kept:", error); }

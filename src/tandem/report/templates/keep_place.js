// A page that renews itself must not lose the place where somebody reads, nor close what they opened.
try {
  const key = "tandem:" + location.pathname, kept = JSON.parse(sessionStorage.getItem(key) || "{}");
  const folds = () => [...document.querySelectorAll("details")];
  folds().forEach((fold, i) => { fold.open = (kept.open || [])[i] || fold.open; });
  scrollTo(0, kept.y || 0);
  addEventListener("load", () => scrollTo(0, kept.y || 0));
  addEventListener("pagehide", () => sessionStorage.setItem(
    key, JSON.stringify({ y: scrollY, open: folds().map((fold) => fold.open) })));
} catch (error) { console.info("the reading place is not kept:", error); }

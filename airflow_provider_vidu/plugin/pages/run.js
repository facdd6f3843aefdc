document.querySelector("main").textContent = location.search;

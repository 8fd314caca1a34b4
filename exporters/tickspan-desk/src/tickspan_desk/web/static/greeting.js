// The token stands behind the address's "#", which no server and no log ever gets; here it becomes a cookie.
const said = document.getElementById("said");

async function open(token) {
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (answer.ok) {
    location.replace(location.pathname + location.search);
    return;
  }
  history.replaceState(null, "", location.pathname + location.search);
  said.textContent = "That is not the token of this desk. It has another one each time it starts.";
  said.hidden = false;
}

const token = location.hash.slice(1).replace(/^token=/, "");
if (/^[\w-]{20,}$/.test(token)) open(token);
document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  open(new FormData(event.target).get("token").trim());
});

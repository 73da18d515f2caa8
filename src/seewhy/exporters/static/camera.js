/* The camera of a computer, whose file chooser offers none; phones take photos by "Take a photo". */

import { byId, make } from "./dom.js";

const DENIED = "The browser does not let this page use a camera. Allow it beside the address, and try again.";
const button = (kind, text) => Object.assign(make("button", kind, text), { type: "button" });

async function show() {
  const video = Object.assign(make("video"), { autoplay: true, muted: true, playsInline: true });
  const fault = make("p", "fault"), take = button("button strong", "Take the photo"), cancel = button("button", "Cancel");
  fault.setAttribute("role", "alert");
  video.setAttribute("aria-label", "What the camera sees");
  const dialog = make("dialog", "", make("div", "sheet", make("h2", "", "Camera"), video, fault, make("div", "buttons", take, cancel)));
  dialog.setAttribute("aria-label", "Camera");
  document.body.append(dialog);
  let stream = null;
  take.disabled = true;
  take.addEventListener("click", () => photo(video, () => dialog.close()));
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    dialog.remove();
  });
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "environment" } });
  } catch (error) {
    fault.textContent = error.name === "NotFoundError" ? "This computer has no camera." : DENIED;
    return;
  }
  if (!dialog.open) return stream.getTracks().forEach((track) => track.stop());
  video.srcObject = stream;
  await video.play();
  take.disabled = false;
  take.focus();
}

/* Gives the page what the camera sees, as a file that was chosen. */
function photo(video, done) {
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    const files = new DataTransfer(), time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    files.items.add(new File([blob], `photo-${time}.png`, { type: "image/png" }));
    byId("choose").files = files.files;
    byId("choose").dispatchEvent(new Event("change"));
    done();
  });
}

if (navigator.mediaDevices?.getUserMedia && !matchMedia("(any-pointer: coarse)").matches) {
  const open = button("button", "Use the camera");
  open.addEventListener("click", show);
  byId("choose").closest(".buttons").append(open);
}

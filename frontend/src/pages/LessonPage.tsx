import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { useUser } from "../auth/useLogin";
import { Room } from "../conversation/Room";
import { Loading } from "../parts/Loading";
import { Trouble } from "../parts/Trouble";
import { NothingHere } from "./NothingHere";
import { TUTORS } from "./TutorsPage";

export default function LessonPage() {
  const id = Number(useParams().tutorId);
  const { data: user } = useUser();
  const tutors = useQuery(TUTORS);
  if (tutors.isPending || !user) return <Loading />;
  if (tutors.isError) return <Trouble error={tutors.error} retry={tutors.refetch} />;
  const tutor = tutors.data.find((one) => one.id === id);
  return tutor ? <Room key={id} tutor={tutor} userId={user.id} /> : <NothingHere />;
}
